//! Protocols that only Clash cores speak: which settings of an entry are kept, and their one standard form.
//!
//! Only what the tables name is kept. An entry of a stranger can so neither choose another way out of the core (`dialer-proxy`,
//! `interface-name`) nor make it read a file.

mod tables;

use hezar_core::{ClashKind, ClashOnly, Secret};

use crate::{
    RejectCode, field,
    tree::{MapBuilder, Tree, json},
};

/// What the value of a setting is.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text,
    /// A number from 0 on.
    Number,
    Flag,
    /// A list of texts.
    Texts,
    /// The first of a list of texts, so many.
    FirstTexts(usize),
    /// Certificates or keys in PEM; the path of a file is refused.
    Pem,
    /// Texts under names of the publisher's choice.
    Named,
    /// Settings of their own.
    Table(&'static [Setting]),
}

/// A setting's name and the shape of its value.
type Setting = (&'static str, Shape);

/// The longest text of one setting, in bytes, and the most members of a list.
const MAX_TEXT: usize = 16 * 1024;
const MAX_MEMBERS: usize = 64;

/// The kind of a Clash entry with this `type`; AmneziaWG is `wireguard` with more settings and found otherwise.
pub(crate) fn kind_of_entry(name: &str) -> Option<ClashKind> {
    ClashKind::ALL.into_iter().find(|kind| *kind != ClashKind::AmneziaWg && kind.name() == name)
}

/// The kind with this name in a link.
pub(crate) fn kind_of_link(name: &str) -> Option<ClashKind> {
    ClashKind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// The `type` of a Clash entry.
pub(crate) const fn entry_type(kind: ClashKind) -> &'static str {
    match kind {
        ClashKind::AmneziaWg => "wireguard",
        kind => kind.name(),
    }
}

/// The settings of an entry in their one standard form: compact JSON, keys sorted, each value in its shape.
pub(crate) fn settings(kind: ClashKind, entry: &Tree) -> Result<Secret, RejectCode> {
    let (table, required) = tables::of(kind);
    let tree = table_of(table, entry)?;
    if required.iter().any(|name| tree.get(name).is_null()) {
        return Err(RejectCode::BadCredential);
    }
    let text = tree.json();
    if text.len() > ClashOnly::MAX_SETTINGS_BYTES { Err(RejectCode::TooLong) } else { Ok(Secret::new(text)) }
}

/// Whether it is known without a trial that a core takes the settings: none of them is a key, a certificate or a table that it parses.
pub(crate) fn is_certain(node: &ClashOnly) -> bool {
    let tree = members(node).into_tree();
    let brings_keys =
        || ["certificate", "private-key", "ech-opts", "fingerprint"].iter().any(|name| !tree.get(name).is_null());
    match node.kind {
        // Keys are read back as those of WireGuard, and the core's own bounds of the MTU are those of IPv6.
        ClashKind::AmneziaWg => tree.number::<u16>(&["mtu"]).is_none_or(|mtu| mtu >= 1280),
        ClashKind::GostRelay | ClashKind::ShadowQuic => !brings_keys(),
        ClashKind::TrustTunnel => {
            let (needed, alpn) = (if tree.flag(&["quic"]) { "h3" } else { "h2" }, tree.get("alpn").texts());
            !brings_keys() && (alpn.is_empty() || alpn.iter().any(|name| **name == *needed))
        }
        ClashKind::Masque | ClashKind::OpenVpn | ClashKind::Sudoku => false,
    }
}

/// The addresses of AmneziaWG's tunnel.
pub(crate) fn addresses(node: &ClashOnly) -> Vec<Box<str>> {
    let tree = members(node).into_tree();
    ["ip", "ipv6"].into_iter().flat_map(|name| tree.get(name).texts()).collect()
}

/// The settings as members of an entry.
pub(crate) fn members(node: &ClashOnly) -> MapBuilder {
    let trees = json::read(node.settings.expose()).unwrap_or_default();
    trees.into_iter().next().map(MapBuilder::from_tree).unwrap_or_default()
}

fn table_of(table: &[Setting], entry: &Tree) -> Result<Tree, RejectCode> {
    let mut pairs = Vec::new();
    for (name, shape) in table {
        let value = value(*shape, entry.get(name))?;
        if !value.is_null() {
            pairs.push((Box::from(*name), value));
        }
    }
    Ok(sorted(pairs))
}

fn sorted(mut pairs: Vec<(Box<str>, Tree)>) -> Tree {
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs.dedup_by(|(one, _), (other, _)| one == other);
    if pairs.is_empty() { Tree::Null } else { Tree::Map(pairs) }
}

/// The value in its shape; [`Tree::Null`] when it is absent or not of that shape.
fn value(shape: Shape, tree: &Tree) -> Result<Tree, RejectCode> {
    Ok(match shape {
        Shape::Text => text(tree.scalar()),
        Shape::Number => match tree.scalar().trim().parse::<u32>() {
            Ok(number) => Tree::Plain(number.to_string().into()),
            Err(_) => Tree::Null,
        },
        Shape::Flag if tree.is_scalar() => Tree::Plain(field::truth(tree.scalar()).to_string().into()),
        Shape::Flag => Tree::Null,
        Shape::Texts => texts(tree, MAX_MEMBERS),
        Shape::FirstTexts(most) => texts(tree, most),
        Shape::Pem => match tree.scalar().trim() {
            "" => Tree::Null,
            pem if pem.starts_with("-----BEGIN") => text(pem),
            // The hash of a certificate or its file is somewhere else: without it anybody could pose as the server.
            _ => return Err(RejectCode::BadPin),
        },
        Shape::Named => {
            let named = tree.pairs().iter().map(|(name, value)| (name.clone(), text(value.scalar())));
            sorted(named.filter(|(name, value)| !name.is_empty() && !value.is_null()).take(MAX_MEMBERS).collect())
        }
        Shape::Table(table) => table_of(table, tree)?,
    })
}

fn texts(tree: &Tree, most: usize) -> Tree {
    let texts = tree.words().into_iter().map(|word| text(&word)).filter(|text| !text.is_null());
    let texts: Vec<Tree> = texts.take(most).collect();
    if texts.is_empty() { Tree::Null } else { Tree::List(texts) }
}

fn text(text: &str) -> Tree {
    if text.is_empty() || text.len() > MAX_TEXT { Tree::Null } else { Tree::Quoted(text.into()) }
}

#[cfg(test)]
mod tests;
