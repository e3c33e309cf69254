//! `hezar-chain://first.second.….last#name`: a node that is dialled through others, each as its own link in base64url,
//! in the order in which they are dialled.
//!
//! No client has a link for a chain. A parameter in an ordinary link would be worse than none: clients that do not know
//! it would dial the last server directly.

use std::sync::Arc;

use hezar_core::{Label, NodeSpec};

use super::{Named, Scheme, split_scheme, to_link, uri};
use crate::{RejectCode, field, parse_link};

/// The scheme.
pub(super) const SCHEME: &str = "hezar-chain";

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let (links, label) = body.split_once('#').unwrap_or((body, ""));
    let links: Vec<&str> = links.trim_end_matches('/').split('.').collect();
    if !(2..=NodeSpec::MAX_HOPS).contains(&links.len()) {
        return Err(RejectCode::BadChain);
    }
    let mut chain: Option<Arc<NodeSpec>> = None;
    for link in links {
        let bytes = field::base64_bytes(link).ok_or(RejectCode::BadEncoding)?;
        let link = String::from_utf8(bytes).map_err(|_| RejectCode::BadEncoding)?;
        // A chain inside a chain could nest without end.
        if split_scheme(&link).and_then(|(name, _)| Scheme::find(name)) == Some(Scheme::Chain) {
            return Err(RejectCode::BadChain);
        }
        let (node, _) = parse_link(&link)?;
        let node = match chain.take() {
            Some(nearer) => node.through(nearer).map_err(|_| RejectCode::BadChain)?,
            None => node,
        };
        chain = Some(Arc::new(node));
    }
    let node = chain.ok_or(RejectCode::BadChain)?;
    Ok((Arc::unwrap_or_clone(node), Label::new(&uri::unescape(label))))
}

pub(super) fn write(node: &NodeSpec, label: &Label) -> String {
    let mut links: Vec<String> =
        node.hops().map(|hop| field::base64_url(to_link(&hop.alone(), &Label::default()))).collect();
    links.reverse();
    let mut link = format!("{SCHEME}://{}", links.join("."));
    if !label.is_empty() {
        link.push('#');
        link.extend(uri::escape(label.as_str()));
    }
    link
}
