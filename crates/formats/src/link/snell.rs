//! `snell://psk@host:port?version=4&obfs=http&obfs-host=…#name`: Snell has no standard link; the keys are those of Surge.

use hezar_core::{Label, NodeSpec, Snell, Target};

use super::{Named, assemble};
use crate::{
    RejectCode,
    rare::SnellText,
    uri::{Uri, escape, query::Pairs},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split_password(body);
    let query = &uri.query;
    let user = uri.user();
    let snell = SnellText {
        psk: if user.is_empty() { query.get(&["psk", "password"]) } else { &user },
        version: query.get(&["version", "v"]),
        obfs: query.get(&["obfs", "obfsmode"]),
        obfs_host: query.get(&["obfshost", "host"]),
    };
    Ok((NodeSpec::new(uri.server()?, snell.outbound()?), uri.label()))
}

pub(super) fn write(snell: &Snell, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.number("version", Some(snell.version));
    pairs.text("obfs", snell.obfs.map_or("", |obfs| obfs.name()));
    pairs.optional("obfs-host", snell.obfs_host.as_deref());
    assemble("snell", Some(&escape(snell.psk.expose()).to_string()), server, &pairs, label)
}
