//! `hysteria://host:port?protocol=…&auth=…#name`, after Hysteria 1's URI scheme.

use hezar_core::{Hysteria, HysteriaObfs, HysteriaTransport, Label, NodeSpec, Outbound, Secret, Target};

use super::{
    Named, assemble,
    hysteria2::{ports_text, server_and_ports},
    security,
};
use crate::{
    RejectCode, field, outbound,
    uri::{
        Uri,
        query::{Pairs, Query},
    },
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let (server, ports) = server_and_ports(&uri, "443")?;
    let auth = match query.get(&["auth", "authstr"]) {
        "" => uri.user(),
        auth => auth.into(),
    };
    let hysteria = Hysteria {
        auth: Secret::new(auth),
        ports,
        transport: outbound::hysteria_transport(query.get(&["protocol"])),
        obfs: obfs(query),
        up_mbps: field::mbps(query.get(&["upmbps", "up"])),
        down_mbps: field::mbps(query.get(&["downmbps", "down"])),
        tls: security::read_tls(query),
    };
    Ok((NodeSpec::new(server, Outbound::Hysteria(Box::new(hysteria))), uri.label()))
}

/// `obfs=xplus&obfsParam=password`; some links put the password straight into `obfs`.
fn obfs(query: &Query<'_>) -> Option<HysteriaObfs> {
    let password = match (query.get(&["obfs"]), query.get(&["obfsparam", "obfspassword"])) {
        ("xplus" | "none" | "", "") => return None,
        (password, "") => password,
        (_, password) => password,
    };
    field::secret(password).map(HysteriaObfs)
}

pub(super) fn write(hysteria: &Hysteria, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.text(
        "protocol",
        match hysteria.transport {
            HysteriaTransport::Udp => "udp",
            HysteriaTransport::WechatVideo => "wechat-video",
            HysteriaTransport::FakeTcp => "faketcp",
        },
    );
    pairs.text("auth", hysteria.auth.expose());
    pairs.text("mport", ports_text(server, &hysteria.ports));
    pairs.number("upmbps", hysteria.up_mbps);
    pairs.number("downmbps", hysteria.down_mbps);
    if let Some(obfs) = &hysteria.obfs {
        pairs.text("obfs", "xplus");
        pairs.text("obfsParam", obfs.0.expose());
    }
    pairs.optional("peer", hysteria.tls.server_name.as_deref());
    security::write_tls(&hysteria.tls, &security::SHORT, &mut pairs);
    assemble("hysteria", None, server, &pairs, label)
}
