//! Finds links in documents of programs that this crate does not know.

use super::Document;
use crate::tree::Tree;

/// A text inside a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: Box<str>,
    /// Whether its key says that it is a link, and not the address of a web page or of an API.
    pub(crate) is_link: bool,
}

/// Keys under which links are published.
const LINK_KEYS: &[&str] =
    &["url", "uri", "link", "links", "share", "share_link", "sharelink", "subscription", "config", "raw", "v2ray"];

/// The shortest text that may be a list in base64.
const MIN_BASE64: usize = 24;

/// The document, unless it is one bare word.
pub(super) fn document(trees: &[Tree]) -> Document {
    if !trees.iter().any(|tree| matches!(tree, Tree::Map(_) | Tree::List(_))) {
        return Document::None;
    }
    // A link with one word in front, such as `Proxy: socks5://…`, is not a setting among others.
    let mut texts = Vec::new();
    match trees {
        // A link with one word in front, such as `Proxy: socks5://…`, is not a setting among others.
        [Tree::Map(pairs)] if pairs.len() == 1 => {
            pairs.iter().for_each(|(key, value)| collect(value, value.is_scalar() || is_link_key(key), &mut texts));
        }
        _ => trees.iter().for_each(|tree| collect(tree, false, &mut texts)),
    }
    Document::Foreign(texts)
}

fn is_link_key(key: &str) -> bool {
    LINK_KEYS.iter().any(|name| name.eq_ignore_ascii_case(key))
}

fn collect(tree: &Tree, is_link: bool, texts: &mut Vec<Text>) {
    match tree {
        Tree::Null | Tree::Broken(_) => {}
        Tree::Plain(text) | Tree::Quoted(text) => {
            if text.contains("://") || text.len() >= MIN_BASE64 && !text.contains(' ') {
                texts.push(Text { text: text.clone(), is_link });
            }
        }
        Tree::List(items) => items.iter().for_each(|item| collect(item, is_link, texts)),
        Tree::Map(pairs) => {
            // The outbounds of clients are read elsewhere. These are the outbounds of a server.
            for (key, value) in pairs.iter().filter(|(key, _)| key.as_ref() != "outbounds") {
                collect(value, is_link_key(key), texts);
            }
        }
    }
}

/// Whether a line opens a YAML map.
pub(super) fn is_key(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else { return line == "---" };
    let key = key.trim_end().trim_matches(['"', '\'']);
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(word)
        && (value.is_empty() || value.starts_with([' ', '\t']))
}
