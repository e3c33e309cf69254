//! ShadowsocksR's own server, as a program of interop/shadowsocksr.

use serde_json::Value;

use super::Part;
use crate::{
    core_protocol::CoreProtocol,
    core_servers::shadowsocksr_server,
    row::{Protocol, Row},
};

/// ShadowsocksR alone.
pub(super) const fn plays(row: Row) -> bool {
    matches!(row.protocol, Protocol::Core(CoreProtocol::ShadowsocksR { .. }))
}

/// The configuration of all servers.
pub(super) fn render(parts: &[Part]) -> Value {
    let server = |part: &Part| match part.row.protocol {
        Protocol::Core(protocol) => shadowsocksr_server(protocol, part.address),
        _ => None,
    };
    parts.iter().filter_map(server).collect()
}
