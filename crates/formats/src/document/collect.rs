//! Finds the entries of a tree, whichever client wrote it, and reads each one for itself.

use hezar_core::{Label, NodeSpec};

use super::{
    chain::{Siblings, Words},
    plain,
    tree::Tree,
    xray,
};
use crate::{Parsed, RejectCode, parse_link};

/// How deep entries are looked for inside lists and wrapping objects.
const MAX_WRAPPING: usize = 4;

/// Keys under which lists of entries are published without a client's name.
const WRAPPERS: &[&str] = &["servers", "configs", "nodes", "data", "proxies", "results", "result", "items", "list"];

/// The nodes and refusals found so far.
#[derive(Default)]
pub(super) struct Collector {
    pub(super) parsed: Parsed,
    /// The 1-based index of the latest entry.
    index: usize,
}

impl Collector {
    /// Reads a whole document; `false` when nothing in it is ours.
    pub(super) fn document(&mut self, tree: &Tree) -> bool {
        self.any(tree, 0)
    }

    /// The entries of Clash's `proxies`, wherever they come from.
    pub(super) fn clash_entries(&mut self, entries: &[Tree]) {
        let mut siblings = Siblings::new(&[entries]);
        for entry in entries {
            self.entry(entry, Shape::of(entry).unwrap_or(Shape::Clash), &mut siblings, "");
        }
    }

    fn any(&mut self, tree: &Tree, depth: usize) -> bool {
        match tree {
            _ if depth > MAX_WRAPPING => false,
            Tree::Map(_) => self.config(tree) || self.single(tree) || self.wrapped(tree, depth),
            // All of them are read, although one would be enough to know the answer.
            Tree::List(items) => items.iter().filter(|item| self.member(item, depth)).count() > 0,
            _ => false,
        }
    }

    /// A client's whole configuration.
    fn config(&mut self, tree: &Tree) -> bool {
        let mut ours = false;
        for key in ["proxies", "Proxy"] {
            let entries = tree.get(key).items();
            if entries.iter().any(Tree::is_map) {
                self.clash_entries(entries);
                ours = true;
            }
        }
        let remarks = tree.text(&["remarks", "remark"]);
        let outbounds = tree.get("outbounds").items();
        let endpoints = tree.get("endpoints").items();
        let mut siblings = Siblings::new(&[outbounds, endpoints]);
        for list in [outbounds, endpoints, tree.get("outboundDetour").items()] {
            for entry in list {
                let shape = if entry.get("protocol").is_null() { Shape::SingBox } else { Shape::Xray };
                self.entry(entry, shape, &mut siblings, remarks);
                ours = true;
            }
        }
        let outbound = tree.get("outbound");
        if outbound.is_map() && !outbound.get("protocol").is_null() {
            self.entry(outbound, Shape::Xray, &mut Siblings::default(), remarks);
            ours = true;
        }
        ours
    }

    /// One entry alone.
    fn single(&mut self, tree: &Tree) -> bool {
        let Some(shape) = Shape::of(tree) else { return false };
        self.entry(tree, shape, &mut Siblings::default(), "");
        true
    }

    /// An object around a list of entries.
    fn wrapped(&mut self, tree: &Tree, depth: usize) -> bool {
        let is_list = |key: &str, value: &Tree| !value.items().is_empty() || (value.is_map() && key != "servers");
        let ours = |key: &&&str| {
            let value = tree.get(key);
            is_list(key, value) && self.any(value, depth + 1)
        };
        WRAPPERS.iter().filter(ours).count() > 0
    }

    fn member(&mut self, item: &Tree, depth: usize) -> bool {
        match item {
            Tree::Quoted(text) | Tree::Plain(text) => self.link(text),
            Tree::Broken(text) => {
                self.index += 1;
                self.parsed.refuse(self.index, text, RejectCode::BadDocument);
                false
            }
            other => self.any(other, depth + 1),
        }
    }

    /// A link as a member of a JSON list. Bare addresses are left to whoever knows which protocol they speak.
    fn link(&mut self, text: &str) -> bool {
        self.index += 1;
        let text = text.trim();
        match parse_link(text) {
            Ok((spec, label)) => {
                self.parsed.accept(self.index, spec, label);
                true
            }
            Err(code) => {
                self.parsed.refuse(self.index, text, code);
                text.contains("://") && code != RejectCode::WebAddress
            }
        }
    }

    fn entry<'a>(&mut self, entry: &'a Tree, shape: Shape, siblings: &mut Siblings<'a>, remarks: &str) {
        self.index += 1;
        let results: Vec<Result<NodeSpec, RejectCode>> = match entry {
            Tree::Broken(text) => return self.parsed.refuse(self.index, text, RejectCode::BadDocument),
            Tree::Quoted(_) | Tree::Plain(_) => {
                self.index -= 1;
                self.link(entry.scalar());
                return;
            }
            Tree::Null => return,
            Tree::List(_) => vec![Err(RejectCode::BadField)],
            Tree::Map(_) => match shape {
                Shape::Clash => siblings.read(entry, Words::Clash).transpose().into_iter().collect(),
                Shape::SingBox => siblings.read(entry, Words::SingBox).transpose().into_iter().collect(),
                Shape::Xray => xray::entry(entry),
                Shape::Sip008 => vec![plain::sip008(entry)],
                Shape::VmessLink => vec![plain::vmess(entry)],
                Shape::Address => plain::address(entry),
            },
        };
        let label = label(entry, remarks);
        for result in results {
            match result {
                Ok(spec) => self.parsed.accept(self.index, spec, label.clone()),
                Err(code) => self.parsed.refuse(self.index, &entry.json(), code),
            }
        }
    }
}

/// The name of an entry; Xray names the whole configuration and calls the entry `proxy`.
fn label(entry: &Tree, remarks: &str) -> Label {
    let own = entry.text(&["name", "tag", "remarks", "remark", "ps"]);
    let nameless = own.is_empty() || own == "proxy" || own == "outbound";
    Label::new(if nameless && !remarks.is_empty() { remarks } else { own })
}

/// Which client's words an entry uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Clash,
    SingBox,
    Xray,
    Sip008,
    /// The object inside a `vmess://` link.
    VmessLink,
    /// An address with a protocol's name, as free proxy lists have it.
    Address,
}

impl Shape {
    fn of(tree: &Tree) -> Option<Self> {
        let has = |key: &str| !tree.get(key).is_null();
        let server = has("server");
        if has("protocol") && (tree.get("settings").is_map() || tree.get("streamSettings").is_map()) {
            Some(Self::Xray)
        } else if has("type") && (has("server_port") || has("server_ports") || (has("tag") && server)) {
            Some(Self::SingBox)
        } else if has("type") && server && (has("port") || has("ports")) {
            Some(Self::Clash)
        } else if server && has("method") && has("password") {
            Some(Self::Sip008)
        } else if has("add") && has("port") && has("id") {
            Some(Self::VmessLink)
        } else if plain::is_address(tree) {
            Some(Self::Address)
        } else {
            None
        }
    }
}
