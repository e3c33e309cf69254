//! Entries that are dialled through other entries of the same document, which they name: Clash's `dialer-proxy`,
//! sing-box's `detour`, Xray's `proxySettings.tag` and `sockopt.dialerProxy`.

use std::{collections::HashMap, sync::Arc};

use hezar_core::{Label, NodeSpec};

use super::{clash, sing_box, xray};
use crate::{
    RejectCode,
    link::{self, admission, chain::hop_length},
    tree::Tree,
};

/// The most bytes that chains may add to the links of a document: this many, or eight times the document's length. The link of
/// every entry holds its whole chain, so without a bound a short list could fill the store.
const FREE_BYTES: usize = 4 * 1024 * 1024;

/// The node with a name, and the length of its part in the link of a chain.
type Hop = (Arc<NodeSpec>, usize);

/// The chain behind a name; `None` where the name means a direct connection.
type Chain = Result<Option<Hop>, RejectCode>;

/// The bytes that chains may still add to the links of one document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance(usize);

impl Allowance {
    /// The allowance of a document of this many bytes.
    pub(super) fn of(document: usize) -> Self {
        Self(FREE_BYTES.max(document.saturating_mul(8)))
    }
}

/// The entries that names can mean.
#[derive(Default)]
pub(super) struct Siblings<'a> {
    entries: Vec<&'a Tree>,
    index: HashMap<&'a str, &'a Tree>,
    /// The chains that were built already: many entries share one.
    chains: HashMap<&'a str, Chain>,
}

/// The client in whose format the entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Clash,
    SingBox,
    Xray,
}

impl Words {
    /// The name that the entry is dialled through, with the key that names it; empty when the entry is dialled directly.
    pub(super) fn way(self, entry: &Tree) -> (&'static str, &str) {
        match self {
            Self::Clash => ("dialer-proxy", entry.text(&["dialer-proxy"])),
            Self::SingBox => ("detour", entry.text(&["detour"])),
            Self::Xray => match entry.get("proxySettings").text(&["tag"]) {
                "" => ("dialerProxy", entry.get("streamSettings").get("sockopt").text(&["dialerProxy"])),
                tag => ("proxySettings.tag", tag),
            },
        }
    }

    /// Whether an entry without a server stands for a direct connection.
    fn is_direct(self, entry: &Tree) -> bool {
        match self {
            Self::Clash | Self::SingBox => entry.text(&["type"]).eq_ignore_ascii_case("direct"),
            Self::Xray => ["freedom", "direct"].iter().any(|name| entry.text(&["protocol"]).eq_ignore_ascii_case(name)),
        }
    }
}

impl<'a> Siblings<'a> {
    /// The entries of these lists.
    pub(super) fn new(lists: &[&'a [Tree]]) -> Self {
        Self { entries: lists.iter().flat_map(|list| list.iter()).collect(), ..Self::default() }
    }

    /// Reads an entry with its chain. Returns one result for each server that it names, and none for an entry that is not a proxy.
    pub(super) fn read(
        &mut self,
        entry: &'a Tree,
        words: Words,
        allowance: &mut Allowance,
    ) -> Vec<Result<NodeSpec, RejectCode>> {
        let alone = self.alone(entry, words);
        if alone.is_empty() {
            return alone;
        }
        let chain = match self.next(entry, words) {
            Ok("") => return alone,
            Ok(name) => {
                let chain = self.chain(name, words);
                self.chains.insert(name, chain.clone());
                chain
            }
            Err(code) => Err(code),
        };
        match chain {
            Ok(Some(via)) => alone.into_iter().map(|node| join(node?, &via, allowance)).collect(),
            Ok(None) => alone,
            Err(code) => vec![Err(code)],
        }
    }

    fn alone(&mut self, entry: &'a Tree, words: Words) -> Vec<Result<NodeSpec, RejectCode>> {
        match words {
            Words::Clash => clash::read::entry(entry).transpose().into_iter().collect(),
            Words::SingBox => {
                let beneath = entry.text(&["detour"]);
                let beneath = if beneath.is_empty() { None } else { self.find(beneath, words) };
                sing_box::read::entry(entry, beneath).transpose().into_iter().collect()
            }
            Words::Xray => xray::entry(entry),
        }
    }

    /// The name that an entry goes through; empty for none.
    fn next(&mut self, entry: &'a Tree, words: Words) -> Result<&'a str, RejectCode> {
        let (_, name) = words.way(entry);
        if words == Words::Clash && name == "DIRECT" {
            return Ok("");
        }
        match self.find(name, words) {
            // ShadowTLS beneath Shadowsocks is its plugin, and what is beneath that is the chain.
            Some(beneath) if words == Words::SingBox && sing_box::shadow_tls::is_shadow_tls(beneath) => {
                if sing_box::read::is_shadowsocks(entry) {
                    Ok(beneath.text(&["detour"]))
                } else {
                    Err(RejectCode::BadChain)
                }
            }
            _ => Ok(name),
        }
    }

    /// Follows the names from `name` on, then builds the chain from its far end.
    fn chain(&mut self, name: &'a str, words: Words) -> Chain {
        let mut walk: Vec<(&'a str, NodeSpec)> = Vec::new();
        let mut next = name;
        let mut chain = loop {
            if next.is_empty() {
                break None;
            }
            if let Some(known) = self.chains.get(next) {
                break known.clone()?;
            }
            if walk.len() >= NodeSpec::MAX_HOPS || walk.iter().any(|(seen, _)| *seen == next) {
                return Err(RejectCode::BadChain);
            }
            let entry = self.find(next, words).ok_or(RejectCode::BadChain)?;
            let mut servers = self.alone(entry, words);
            match (servers.pop(), servers.is_empty()) {
                (Some(Ok(spec)), true) => walk.push((next, spec)),
                (None, _) if words.is_direct(entry) => break None,
                // A group of nodes, or an entry of an unknown kind.
                _ => {
                    self.chains.insert(next, Err(RejectCode::BadChain));
                    return Err(RejectCode::BadChain);
                }
            }
            next = self.next(entry, words)?;
        };
        for (name, spec) in walk.into_iter().rev() {
            let own = hop_length(link::write_alone(&spec, &Label::default()).len());
            let (spec, length) = match chain {
                Some((via, length)) => (spec.through(via).map_err(|_| RejectCode::BadChain)?, length + own),
                None => (spec, own),
            };
            chain = Some((Arc::new(spec), length));
            self.chains.insert(name, Ok(chain.clone()));
        }
        Ok(chain)
    }

    /// The first entry with a name. The index is made when the first name is asked for.
    fn find(&mut self, name: &str, words: Words) -> Option<&'a Tree> {
        if self.index.is_empty() {
            let key = if words == Words::Clash { "name" } else { "tag" };
            for entry in &self.entries {
                self.index.entry(entry.text(&[key])).or_insert(entry);
            }
        }
        self.index.get(name).copied().filter(|_| !name.is_empty())
    }
}

/// Puts a node behind a chain, unless its link would become too long to be read back.
fn join(node: NodeSpec, (via, length): &Hop, allowance: &mut Allowance) -> Result<NodeSpec, RejectCode> {
    let own = hop_length(link::write_alone(&node, &Label::default()).len());
    if own + length + link::chain::SCHEME.len() + 3 > admission::MAX_LINK_BYTES {
        return Err(RejectCode::TooLong);
    }
    allowance.0 = allowance.0.checked_sub(*length).ok_or(RejectCode::TooLong)?;
    node.through(Arc::clone(via)).map_err(|_| RejectCode::BadChain)
}
