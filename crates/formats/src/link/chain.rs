//! `hezar-chain://first.second.….last#name`: a node that is dialled through others, each as its own link in base64url,
//! in the order in which they are dialled.
//!
//! Other clients have no links for chains. A parameter in an ordinary link would do harm: clients that do not know it would
//! dial the last server directly.

use std::{collections::HashMap, sync::Arc};

use hezar_core::{Label, NodeSpec};

use super::{Named, Scheme, read_alone, split_scheme, write_alone};
use crate::{RejectCode, field, uri};

/// The scheme.
pub(crate) const SCHEME: &str = "hezar-chain";

/// The most chains that are remembered.
const MAX_KEPT: usize = 100_000;

/// Chains that were read before, by their text: many nodes go through one.
#[derive(Debug, Default)]
pub(super) struct Chains(HashMap<Box<str>, Arc<NodeSpec>>);

impl Chains {
    pub(super) fn read(&mut self, body: &str) -> Result<Named, RejectCode> {
        let (links, label) = body.split_once('#').unwrap_or((body, ""));
        let links = links.trim_end_matches('/');
        if !(2..=NodeSpec::MAX_HOPS).contains(&links.split('.').count()) {
            return Err(RejectCode::BadChain);
        }
        let (front, last) = links.rsplit_once('.').ok_or(RejectCode::BadChain)?;
        let node = hop(last)?.through(self.chain(front)?).map_err(|_| RejectCode::BadChain)?;
        Ok((node, Label::new(&uri::unescape(label))))
    }

    /// The node at the end of these links, dialled through those in front of it.
    fn chain(&mut self, links: &str) -> Result<Arc<NodeSpec>, RejectCode> {
        if let Some(known) = self.0.get(links) {
            return Ok(Arc::clone(known));
        }
        let node = match links.rsplit_once('.') {
            Some((front, last)) => hop(last)?.through(self.chain(front)?).map_err(|_| RejectCode::BadChain)?,
            None => hop(links)?,
        };
        let node = Arc::new(node);
        if self.0.len() < MAX_KEPT {
            self.0.insert(links.into(), Arc::clone(&node));
        }
        Ok(node)
    }
}

/// One link of a chain. A chain inside a chain could nest without end.
fn hop(link: &str) -> Result<NodeSpec, RejectCode> {
    let bytes = field::base64_bytes(link).ok_or(RejectCode::BadEncoding)?;
    let link = String::from_utf8(bytes).map_err(|_| RejectCode::BadEncoding)?;
    let (name, body) = split_scheme(&link).ok_or(RejectCode::NotALink)?;
    match Scheme::find(name).ok_or(RejectCode::UnsupportedScheme)? {
        Scheme::Chain => Err(RejectCode::BadChain),
        scheme => read_alone(scheme, body).map(|(node, _)| node),
    }
}

/// The part of a chain's link that a hop takes whose own link has this many bytes, in bytes.
pub(crate) const fn hop_length(link: usize) -> usize {
    // Base64 without padding, and the dot.
    (link * 4).div_ceil(3) + 1
}

pub(super) fn write(node: &NodeSpec, label: &Label) -> String {
    let mut links: Vec<String> =
        node.hops().map(|hop| field::base64_url(write_alone(hop, &Label::default()))).collect();
    links.reverse();
    let mut link = format!("{SCHEME}://{}", links.join("."));
    if !label.is_empty() {
        link.push('#');
        link.extend(uri::escape(label.as_str()));
    }
    link
}
