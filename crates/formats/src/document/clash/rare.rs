//! Reads and writes Snell, SSH, mieru and what only Clash cores speak.

use hezar_core::{ClashKind, ClashOnly, Mieru, NodeSpec, Outbound, Snell, Ssh};

use crate::{
    RejectCode, clash_only,
    rare::{MieruText, SnellText, SshText, exposed, handshake_name},
    tree::{MapBuilder, Tree},
};

pub(super) fn read_snell(entry: &Tree) -> Result<Outbound, RejectCode> {
    let obfs = entry.get("obfs-opts");
    SnellText {
        psk: entry.text(&["psk"]),
        version: entry.text(&["version"]),
        obfs: obfs.text(&["mode"]),
        obfs_host: obfs.text(&["host"]),
    }
    .outbound()
}

pub(super) fn read_ssh(entry: &Tree) -> Result<Outbound, RejectCode> {
    SshText {
        username: entry.text(&["username"]),
        password: entry.text(&["password"]),
        private_key: entry.text(&["private-key", "privateKey"]),
        passphrase: entry.text(&["private-key-passphrase"]),
        host_keys: entry.get("host-key").texts(),
        host_key_algorithms: entry.get("host-key-algorithms").texts(),
    }
    .outbound()
}

pub(super) fn read_mieru(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    MieruText {
        host: entry.text(&["server"]),
        port: entry.text(&["port"]),
        ports: entry.text(&["port-range"]),
        username: entry.text(&["username"]),
        password: entry.text(&["password"]),
        transport: entry.text(&["transport"]),
        multiplexing: entry.text(&["multiplexing"]),
        handshake: entry.text(&["handshake-mode"]),
        traffic_pattern: entry.text(&["traffic-pattern"]),
    }
    .node()
}

pub(super) fn read_clash_only(kind: ClashKind, entry: &Tree) -> Result<Outbound, RejectCode> {
    let settings = clash_only::settings(kind, entry)?;
    Ok(Outbound::ClashOnly(Box::new(ClashOnly { kind, settings })))
}

pub(super) fn write_snell(map: &mut MapBuilder, snell: &Snell) {
    map.text("psk", snell.psk.expose()).number("version", Some(snell.version));
    let mut obfs = MapBuilder::default();
    obfs.text("mode", snell.obfs.map_or("", |obfs| obfs.name()));
    obfs.text("host", snell.obfs_host.as_deref().unwrap_or_default());
    map.map("obfs-opts", obfs);
}

pub(super) fn write_ssh(map: &mut MapBuilder, ssh: &Ssh) {
    map.text("username", &ssh.username).text("password", exposed(ssh.password.as_ref()));
    map.text("private-key", exposed(ssh.private_key.as_ref()));
    map.text("private-key-passphrase", exposed(ssh.passphrase.as_ref()));
    map.texts("host-key", &ssh.host_keys).texts("host-key-algorithms", &ssh.host_key_algorithms);
}

pub(super) fn write_mieru(map: &mut MapBuilder, port: u16, mieru: &Mieru) {
    if let Some(last) = mieru.last_port {
        map.text("port-range", &format!("{port}-{last}"));
    }
    map.text("username", &mieru.username).text("password", mieru.password.expose());
    map.text("transport", mieru.transport.name());
    map.text("multiplexing", mieru.multiplexing.map_or("", |level| level.name()));
    map.text("handshake-mode", handshake_name(mieru));
    map.text("traffic-pattern", mieru.traffic_pattern.as_deref().unwrap_or_default());
}
