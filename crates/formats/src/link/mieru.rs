//! `mierus://user:password@host?port=…&protocol=TCP&multiplexing=…#name`, mieru's readable link. It may name several ports, each with its
//! own protocol; the first one is taken.

use hezar_core::{Label, Mieru, Target};

use super::{Named, with_parameters};
use crate::{
    RejectCode,
    rare::{MieruText, handshake_name},
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    let query = &uri.query;
    let (username, password) = uri.login();
    let port = if uri.port.is_empty() { query.get(&["port"]) } else { uri.port };
    let mieru = MieruText {
        host: uri.host,
        port,
        ports: "",
        username: &username,
        password: &password,
        transport: query.get(&["protocol"]),
        multiplexing: query.get(&["multiplexing"]),
        handshake: query.get(&["handshakemode"]),
        traffic_pattern: query.get(&["trafficpattern"]),
    };
    let label = match query.get(&["profile"]) {
        name if uri.fragment.is_empty() && name != "default" => Label::new(name),
        _ => uri.label(),
    };
    Ok((mieru.node()?, label))
}

pub(super) fn write(mieru: &Mieru, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    let last = mieru.last_port.map(|last| format!("-{last}"));
    pairs.text("port", format!("{}{}", server.port(), last.unwrap_or_default()));
    pairs.text("protocol", mieru.transport.name());
    pairs.text("profile", "default");
    pairs.text("multiplexing", mieru.multiplexing.map_or("", |level| level.name()));
    pairs.text("handshake-mode", handshake_name(mieru));
    pairs.optional("traffic-pattern", mieru.traffic_pattern.as_deref());
    let host = server.host().bracketed();
    let (username, password) = (escape(&mieru.username), escape(mieru.password.expose()));
    with_parameters(format!("mierus://{username}:{password}@{host}"), &pairs, label)
}
