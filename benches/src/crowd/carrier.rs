//! A node that carries all its tunnels over one connection: sing-box as a Hysteria 2 server in front of the lab.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use serde_json::json;

use crate::{
    Watched,
    chaos::contestant::peer,
    free_address,
    node::{self, NodeKind, RealityKeys},
};

/// Starts the server, which hands every tunnel on to a SOCKS5 server; gives it and its link. Nothing when sing-box is
/// not installed.
///
/// # Errors
/// When it cannot be started.
pub fn carrier(home: &Path, behind: SocketAddr) -> anyhow::Result<Option<(Watched, String)>> {
    let Some(program) = peer("sing-box") else { return Ok(None) };
    let address = free_address()?;
    node::certificate(home)?;
    let config = json!({
        "log": { "disabled": true },
        "inbounds": [NodeKind::Hysteria2.inbound(address, home)],
        "outbounds": [{ "type": "socks", "server": behind.ip(), "server_port": behind.port(), "version": "5" }],
    });
    let file = home.join("carrier.json");
    fs::write(&file, config.to_string())?;
    let server = Watched::start(Command::new(program).arg("run").arg("-c").arg(file).current_dir(home))?;
    Ok(Some((server, NodeKind::Hysteria2.link(address, &RealityKeys::default()))))
}
