//! XHTTP's `extra` settings: Xray's JSON object, and the names that mihomo gives to its members.

use super::tree::{MapBuilder, Tree};

/// mihomo's and Xray's names of the plain settings.
const NAMES: &[(&str, &str)] = &[
    ("no-grpc-header", "noGRPCHeader"),
    ("no-sse-header", "noSSEHeader"),
    ("x-padding-bytes", "xPaddingBytes"),
    ("sc-max-each-post-bytes", "scMaxEachPostBytes"),
    ("sc-min-posts-interval-ms", "scMinPostsIntervalMs"),
    ("sc-max-buffered-posts", "scMaxBufferedPosts"),
    ("sc-stream-up-server-secs", "scStreamUpServerSecs"),
];

/// The `extra` object from mihomo's `xhttp-opts`, as compact JSON; empty when there is none.
pub(super) fn extra_from_clash(opts: &Tree) -> String {
    let extra = opts.get("extra");
    if !extra.is_null() {
        return extra_text(extra);
    }
    let mut map = MapBuilder::default();
    let mut any = false;
    for (name, value) in opts.pairs() {
        let known = NAMES.iter().find(|(clash, xray)| *clash == name.as_ref() || *xray == name.as_ref());
        if let Some((_, xray)) = known
            && value.is_scalar()
        {
            any = true;
            map.put(xray, value.clone());
        } else if name.as_ref() == "headers" {
            let others: Vec<_> =
                value.pairs().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).cloned().collect();
            any |= !others.is_empty();
            map.put("headers", if others.is_empty() { Tree::Null } else { Tree::Map(others) });
        }
    }
    if any { map.into_tree().json() } else { String::new() }
}

/// The `extra` object of Xray's `xhttpSettings`, as compact JSON: its own, or else the settings that stand beside it.
pub(super) fn extra_of(opts: &Tree) -> String {
    let extra = extra_text(opts.get("extra"));
    if !extra.is_empty() {
        return extra;
    }
    let other = |(name, _): &&(Box<str>, Tree)| !["host", "path", "mode", "extra"].contains(&name.as_ref());
    let others: Vec<_> = opts.pairs().iter().filter(other).cloned().collect();
    if others.is_empty() { String::new() } else { Tree::Map(others).json() }
}

/// An `extra` object, or a text that holds one, as compact JSON; empty when there is none.
pub(super) fn extra_text(extra: &Tree) -> String {
    match extra {
        Tree::Map(pairs) if !pairs.is_empty() => extra.json(),
        Tree::Quoted(text) => match super::json::read(text).as_deref() {
            Ok([tree @ Tree::Map(pairs)]) if !pairs.is_empty() => tree.json(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Puts the members of an `extra` object into `xhttp-opts`; `false` when mihomo has no word for one of them.
pub(super) fn extra_to_clash(extra: &str, opts: &mut MapBuilder) -> bool {
    let Ok(trees) = super::json::read(extra) else { return false };
    let [tree] = trees.as_slice() else { return false };
    for (name, value) in tree.pairs() {
        if name.as_ref() == "headers" {
            opts.put("headers", value.clone());
            continue;
        }
        let Some((clash, _)) = NAMES.iter().find(|(_, xray)| *xray == name.as_ref()) else { return false };
        opts.put(clash, value.clone());
    }
    true
}
