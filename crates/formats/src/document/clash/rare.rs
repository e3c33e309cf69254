//! Writes Snell, SSH and mieru in Clash's words.

use hezar_core::{Mieru, Snell, Ssh};

use crate::{
    rare::{exposed, handshake_name},
    tree::MapBuilder,
};

pub(super) fn snell(map: &mut MapBuilder, snell: &Snell) {
    map.text("psk", snell.psk.expose()).number("version", Some(snell.version));
    let mut obfs = MapBuilder::default();
    obfs.text("mode", snell.obfs.map_or("", |obfs| obfs.name()));
    obfs.text("host", snell.obfs_host.as_deref().unwrap_or_default());
    map.map("obfs-opts", obfs);
}

pub(super) fn ssh(map: &mut MapBuilder, ssh: &Ssh) {
    map.text("username", &ssh.username).text("password", exposed(ssh.password.as_ref()));
    map.text("private-key", exposed(ssh.private_key.as_ref()));
    map.text("private-key-passphrase", exposed(ssh.passphrase.as_ref()));
    map.texts("host-key", &ssh.host_keys).texts("host-key-algorithms", &ssh.host_key_algorithms);
}

pub(super) fn mieru(map: &mut MapBuilder, port: u16, mieru: &Mieru) {
    if let Some(last) = mieru.last_port {
        map.text("port-range", &format!("{port}-{last}"));
    }
    map.text("username", &mieru.username).text("password", mieru.password.expose());
    map.text("transport", mieru.transport.name());
    map.text("multiplexing", mieru.multiplexing.map_or("", |level| level.name()));
    map.text("handshake-mode", handshake_name(mieru));
    map.text("traffic-pattern", mieru.traffic_pattern.as_deref().unwrap_or_default());
}
