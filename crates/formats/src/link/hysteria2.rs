//! `hysteria2://auth@host:ports/?…#name`, after Hysteria's URI scheme with the port hopping keys of other clients.

use hezar_core::{Hysteria2, Label, NodeSpec, Obfs2, Outbound, Secret, Target};

use super::{Named, assemble, security};
use crate::{
    RejectCode, field, outbound,
    uri::{
        self, Uri, escape,
        query::{Pairs, Query},
    },
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let (server, ports) = server_and_ports(&uri, "443")?;
    let auth = match uri.user() {
        auth if auth.is_empty() => query.get(&["auth", "password"]).into(),
        auth => auth,
    };
    let hysteria = Hysteria2 {
        auth: Secret::new(auth),
        ports,
        hop_interval: field::seconds(query.get(&["hopinterval", "mporthopint"])),
        obfs: obfs(query),
        up_mbps: field::mbps(query.get(&["upmbps", "up"])),
        down_mbps: field::mbps(query.get(&["downmbps", "down"])),
        tls: security::read_tls(query),
    };
    Ok((NodeSpec::new(server, Outbound::Hysteria2(Box::new(hysteria))), uri.label()))
}

/// The server's own port and the ports to hop over: `host:443,5000-6000`, `host:5000-6000`, `mport=…` or `ports=…`.
pub(super) fn server_and_ports(uri: &Uri<'_>, default: &str) -> Result<(Target, Vec<(u16, u16)>), RejectCode> {
    let port = uri.port.trim();
    let hopping = uri.query.get(&["mport", "ports"]);
    let (port, ports) = if port.contains([',', '-']) {
        outbound::hopping("", &if hopping.is_empty() { port.into() } else { format!("{port},{hopping}") })?
    } else {
        let port = if port.is_empty() { default } else { port };
        // When the ranges cannot be read, the node is kept without port hopping.
        outbound::hopping(port, hopping).unwrap_or((port.into(), Vec::new()))
    };
    Ok((uri::server(uri.host, &port)?, ports))
}

/// Writes the ports to hop over; the server's own is said once more where it is one of them, as the reader drops one.
pub(super) fn ports_text(server: &Target, ports: &[(u16, u16)]) -> String {
    let text = field::port_ranges_text(ports, '-');
    let own = server.port();
    if ports.contains(&(own, own)) { format!("{own},{text}") } else { text }
}

fn obfs(query: &Query<'_>) -> Option<Obfs2> {
    let kind = query.get(&["obfs"]);
    let password = query.get(&["obfspassword", "obfsparam"]);
    // A password without a kind means Salamander, which was the only one for years.
    let kind = if kind.is_empty() { "salamander" } else { kind };
    outbound::obfs2(kind, password, query.get(&["minpacketsize"]), query.get(&["maxpacketsize"]))
}

pub(super) fn write(hysteria: &Hysteria2, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    security::write_tls(&hysteria.tls, &security::SHORT, &mut pairs);
    match &hysteria.obfs {
        None => {}
        Some(Obfs2::Salamander { password }) => {
            pairs.text("obfs", "salamander");
            pairs.text("obfs-password", password.expose());
        }
        Some(Obfs2::Gecko { password, min_packet, max_packet }) => {
            pairs.text("obfs", "gecko");
            pairs.text("obfs-password", password.expose());
            pairs.number("minPacketSize", *min_packet);
            pairs.number("maxPacketSize", *max_packet);
        }
    }
    pairs.text("mport", ports_text(server, &hysteria.ports));
    pairs.number("hop-interval", hysteria.hop_interval);
    pairs.number("upmbps", hysteria.up_mbps);
    pairs.number("downmbps", hysteria.down_mbps);
    let auth = escape(hysteria.auth.expose()).to_string();
    let userinfo = (!auth.is_empty()).then_some(auth.as_str());
    assemble("hysteria2", userinfo, server, &pairs, label)
}
