//! Which program this is.

use hezar_api::VersionDto;

use crate::version::{COMMIT, VERSION, platform};

pub(super) fn version() -> VersionDto {
    VersionDto {
        version: VERSION.to_owned(),
        commit: COMMIT.map(str::to_owned),
        platform: platform(),
        api: "v1".to_owned(),
    }
}
