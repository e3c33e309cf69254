//! `wireguard://privatekey@host:port?publickey=…&address=…#name`, in v2rayN's keys and in ray2sing's.

use hezar_core::{Label, NodeSpec, Secret, Target, WireGuard};

use super::{Named, assemble};
use crate::{
    RejectCode,
    outbound::WireGuardText,
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    // Raw `/`, `+` and `=` of the key are harmless: userinfo ends at the last `@`.
    let uri = Uri::split(body);
    let query = &uri.query;
    let user = uri.user();
    let private_key = if user.is_empty() { query.get(&["privatekey", "secretkey", "pk"]) } else { &user };
    let mut addresses = query.list("address");
    for other in ["localaddress", "ip", "ipv6"] {
        if addresses.is_empty() || other == "ipv6" {
            addresses.extend(query.list(other));
        }
    }
    let wireguard = WireGuardText {
        private_key,
        public_key: query.get(&["publickey", "peerpublickey", "peerpub"]),
        pre_shared_key: query.get(&["presharedkey", "peerpresharedkey", "psk"]),
        addresses,
        reserved: query.get(&["reserved", "clientid"]),
        mtu: query.get(&["mtu"]),
        keepalive: query.get(&["keepalive", "persistentkeepalive", "keepaliveinterval", "persistentkeepaliveinterval"]),
    };
    Ok((NodeSpec::new(uri.server_or("51820")?, wireguard.outbound()?), uri.label()))
}

pub(super) fn write(wireguard: &WireGuard, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.optional("publickey", wireguard.public_key.as_deref());
    pairs.optional("presharedkey", wireguard.pre_shared_key.as_ref().map(Secret::expose));
    pairs.list("address", &wireguard.addresses);
    if wireguard.reserved != [0; 3] {
        pairs.text("reserved", wireguard.reserved.map(|byte| byte.to_string()).join(","));
    }
    pairs.number("mtu", wireguard.mtu);
    pairs.number("keepalive", wireguard.keepalive);
    let key = escape(wireguard.private_key.expose()).to_string();
    assemble("wireguard", Some(&key), server, &pairs, label)
}
