//! Entries that are dialled through other entries of the same document, which they name: Clash's `dialer-proxy`,
//! sing-box's `detour`.

use std::{collections::HashMap, sync::Arc};

use hezar_core::NodeSpec;

use super::{clash, sing_box, tree::Tree};
use crate::RejectCode;

/// The chain behind a name; none where that name means a direct connection.
type Chain = Result<Option<Arc<NodeSpec>>, RejectCode>;

/// The entries that names can mean.
#[derive(Default)]
pub(super) struct Siblings<'a> {
    entries: Vec<&'a Tree>,
    index: HashMap<&'a str, &'a Tree>,
    /// What is known: many entries go through one.
    chains: HashMap<&'a str, Chain>,
}

/// Whose words the entries use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Clash,
    SingBox,
}

impl<'a> Siblings<'a> {
    /// The entries of these lists.
    pub(super) fn new(lists: &[&'a [Tree]]) -> Self {
        Self { entries: lists.iter().flat_map(|list| list.iter()).collect(), ..Self::default() }
    }

    /// Reads one of them with its chain; `None` for one that is no proxy server.
    pub(super) fn read(&mut self, entry: &'a Tree, words: Words) -> Result<Option<NodeSpec>, RejectCode> {
        let Some(spec) = self.alone(entry, words)? else { return Ok(None) };
        let name = self.next(entry, words)?;
        if name.is_empty() {
            return Ok(Some(spec));
        }
        let chain = self.chain(name, words);
        self.chains.insert(name, chain.clone());
        match chain? {
            Some(via) => spec.through(via).map(Some).map_err(|_| RejectCode::BadChain),
            None => Ok(Some(spec)),
        }
    }

    fn alone(&mut self, entry: &'a Tree, words: Words) -> Result<Option<NodeSpec>, RejectCode> {
        match words {
            Words::Clash => clash::read::entry(entry),
            Words::SingBox => {
                let beneath = entry.text(&["detour"]);
                let beneath = if beneath.is_empty() { None } else { self.find(beneath, words) };
                sing_box::read::entry(entry, beneath)
            }
        }
    }

    /// The name that an entry goes through; empty for none.
    fn next(&mut self, entry: &'a Tree, words: Words) -> Result<&'a str, RejectCode> {
        let name = match words {
            Words::Clash => entry.text(&["dialer-proxy"]),
            Words::SingBox => entry.text(&["detour"]),
        };
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
            match self.alone(entry, words) {
                Ok(Some(spec)) => walk.push((next, spec)),
                Ok(None) if entry.text(&["type"]).eq_ignore_ascii_case("direct") => break None,
                // A choice among nodes, or none of ours.
                Ok(None) | Err(_) => {
                    self.chains.insert(next, Err(RejectCode::BadChain));
                    return Err(RejectCode::BadChain);
                }
            }
            next = self.next(entry, words)?;
        };
        for (name, spec) in walk.into_iter().rev() {
            let spec = match chain {
                Some(via) => spec.through(via).map_err(|_| RejectCode::BadChain)?,
                None => spec,
            };
            chain = Some(Arc::new(spec));
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
