//! ShadowsocksR's own server, as a program of interop/shadowsocksr.

use serde_json::Value;

use super::Part;
use crate::{
    core_rows,
    row::{Protocol, Row},
};

/// ShadowsocksR alone.
pub(super) const fn plays(row: Row) -> bool {
    matches!(row.protocol, Protocol::Core(core_rows::CoreProtocol::ShadowsocksR { .. }))
}

/// The configuration of all servers.
pub(super) fn render(parts: &[Part]) -> Value {
    parts.iter().filter_map(core_rows::shadowsocksr_server).collect()
}
