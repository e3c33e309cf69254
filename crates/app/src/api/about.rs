//! Which program this is, and where it runs.

use hezar_api::{InstanceDto, VersionDto};
use hezar_core::Timestamp;

use crate::version::{COMMIT, VERSION, platform};

pub(super) fn version() -> VersionDto {
    VersionDto {
        version: VERSION.to_owned(),
        commit: COMMIT.map(str::to_owned),
        platform: platform(),
        api: "v1".to_owned(),
    }
}

/// This process; it is the only one of its installation.
pub(super) fn own_instance(started: Timestamp, now: Timestamp) -> InstanceDto {
    let pid = std::process::id();
    InstanceDto {
        id: format!("{:x}-{pid:x}", started.0),
        host: host_name(),
        pid,
        version: VERSION.to_owned(),
        started: started.0,
        seen: now.0,
        own: true,
    }
}

/// The name of this machine.
#[cfg(unix)]
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of this machine.
#[cfg(not(unix))]
pub(crate) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}
