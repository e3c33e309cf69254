//! `trojan://password@host:port?…#name`: trojan-go's link with the transport keys that v2rayN added.

use hezar_core::{Carrier, Label, NodeSpec, Secret, SecurityKind, Target, Trojan};

use super::{Named, assemble, shadowrocket, transport};
use crate::{
    RejectCode, outbound,
    uri::{Uri, escape, query::Pairs},
};

/// What stands in front of `method:password` in trojan-go's `encryption` key.
const INNER: &str = "ss;";

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let inner = query.get(&["encryption"]).strip_prefix(INNER).filter(|inner| !inner.is_empty());
    let server = uri.server_or("443")?;
    let carrier = match shadowrocket::trojan_plugin(query) {
        Some(carrier) => carrier?,
        None => transport::read(query, SecurityKind::Tls)?,
    };
    let outbound = outbound::trojan(&uri.required_user()?, inner.map(Secret::new), carrier)?;
    Ok((NodeSpec::new(server, outbound), uri.label()))
}

pub(super) fn write(trojan: &Trojan, carrier: &Carrier, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    if let Some(inner) = &trojan.inner_shadowsocks {
        pairs.text("encryption", format!("{INNER}{}", inner.expose()));
    }
    transport::write(carrier, &mut pairs);
    let password = escape(trojan.password.expose()).to_string();
    assemble("trojan", Some(&password), server, &pairs, label)
}
