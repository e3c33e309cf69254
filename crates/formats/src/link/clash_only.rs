//! `hezar-clash://kind@host:port?settings=…#name`: a node that only Clash cores can dial, with its settings in their words, as JSON in
//! base64url. Most of these protocols have no links, or links with less than the settings.

use hezar_core::{ClashOnly, Label, NodeSpec, Outbound, Target};

use super::{Named, assemble};
use crate::{
    RejectCode, clash_only, field,
    tree::json,
    uri::{Uri, query::Pairs},
};

/// The scheme.
pub(super) const SCHEME: &str = "hezar-clash";

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let uri = Uri::split(body);
    let kind = clash_only::kind_of_link(&uri.user()).ok_or(RejectCode::UnsupportedScheme)?;
    let text = field::base64_text(uri.query.get(&["settings"])).ok_or(RejectCode::BadEncoding)?;
    let trees = json::read(&text).map_err(|_| RejectCode::BadEncoding)?;
    let [tree] = trees.as_slice() else { return Err(RejectCode::BadEncoding) };
    let settings = clash_only::settings(kind, tree)?;
    let outbound = Outbound::ClashOnly(Box::new(ClashOnly { kind, settings }));
    Ok((NodeSpec::new(uri.server()?, outbound), uri.label()))
}

pub(super) fn write(node: &ClashOnly, server: &Target, label: &Label) -> String {
    let mut pairs = Pairs::default();
    pairs.text("settings", field::base64_url(node.settings.expose()));
    assemble(SCHEME, Some(node.kind.name()), server, &pairs, label)
}
