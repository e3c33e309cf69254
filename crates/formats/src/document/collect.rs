//! Finds the entries in a tree, whatever client it was written for, and reads each one by itself.

use hezar_core::{Label, NodeSpec};

use super::{
    chain::{Allowance, Siblings, Words},
    client, plain,
    shape::Shape,
};
use crate::{ListScheme, Parsed, RejectCode, link::admission, list, parse_link, tree::Tree};

/// How deep inside lists and wrapping objects entries are searched.
const MAX_WRAPPING: usize = 4;

/// Keys under which lists of entries are published without a client's name.
const WRAPPERS: &[&str] = &[
    "servers",
    "configs",
    "nodes",
    "data",
    "proxies",
    "proxy",
    "results",
    "result",
    "items",
    "list",
    "LISTA",
    "proxy_list",
    "proxyList",
];

/// Those of these keys under which programs also publish addresses that are not proxies.
const AMBIGUOUS: &[&str] = &["servers", "configs"];

/// The nodes and refusals found so far.
pub(super) struct Collector {
    pub(super) parsed: Parsed,
    /// The 1-based index of the latest entry.
    index: usize,
    /// The protocol of bare addresses; absent where they are not proxies.
    default: Option<ListScheme>,
    /// Whether the key around the entries names a protocol.
    named: bool,
    allowance: Allowance,
}

impl Collector {
    /// A collector for a document with this text.
    pub(super) fn new(text: &str, default: ListScheme) -> Self {
        let allowance = Allowance::of(text.len());
        Self { parsed: Parsed::default(), index: 0, default: Some(default), named: false, allowance }
    }

    /// Reads the documents of a text; `false` when they hold no entry of a known kind.
    pub(super) fn documents(&mut self, trees: &[Tree]) -> bool {
        self.each(trees, |collector, tree| collector.any(tree, 0))
    }

    /// Reads each of `trees`; `false` when they hold no entry of a known kind. When some do, a tree without one is refused,
    /// because it is a broken entry.
    fn each(&mut self, trees: &[Tree], read: impl Fn(&mut Self, &Tree) -> bool) -> bool {
        let (mut ours, mut unread) = (false, Vec::new());
        for tree in trees {
            let before = self.index;
            let found = read(self, tree);
            ours |= found;
            if !found && tree.is_map() && self.index == before {
                self.index += 1;
                unread.push((self.index, tree));
            }
        }
        if ours && !unread.is_empty() {
            for (index, tree) in unread {
                let code = if plain::lacks_port(tree) { RejectCode::BadPort } else { RejectCode::BadField };
                self.parsed.refuse(index, &tree.json(), code);
            }
            self.parsed.rejects.sort_by_key(|reject| reject.line);
        }
        ours
    }

    /// The entries of Clash's `proxies`, wherever they come from.
    pub(super) fn clash_entries(&mut self, entries: &[Tree]) {
        self.clash_lists(&[entries]);
    }

    fn clash_lists(&mut self, lists: &[&[Tree]]) {
        let mut siblings = Siblings::new(lists);
        for entry in lists.iter().copied().flatten() {
            self.entry(entry, Shape::of(entry).unwrap_or(Shape::Clash), &mut siblings, "");
        }
    }

    fn any(&mut self, tree: &Tree, depth: usize) -> bool {
        match tree {
            _ if depth > MAX_WRAPPING => false,
            Tree::Map(_) => self.config(tree) || self.single(tree, depth) || self.wrapped(tree, depth),
            Tree::List(items) => self.each(items, |collector, item| collector.member(item, depth)),
            _ => false,
        }
    }

    /// Reads the whole configuration of a client.
    fn config(&mut self, tree: &Tree) -> bool {
        let proxies = ["proxies", "Proxy"].map(|key| tree.get(key).items());
        let mut lists: Vec<&[Tree]> = proxies.into_iter().filter(|entries| entries.iter().any(Tree::is_map)).collect();
        let payloads: Vec<Vec<Tree>> = providers(tree).map(|(_, provider)| payload(provider)).collect();
        lists.extend(payloads.iter().map(Vec::as_slice));
        self.clash_lists(&lists);
        let mut ours = !lists.is_empty();
        for (name, provider) in providers(tree) {
            self.provider(name, provider);
        }
        let remarks = tree.text(&["remarks", "remark"]);
        // In a configuration of a Hysteria 2 server, this key names the server's own outbounds.
        let is_server = !tree.get("listen").is_null();
        let lists =
            ["outbounds", "endpoints", "outboundDetour"].map(|key| if is_server { &[] } else { tree.get(key).items() });
        let mut siblings = Siblings::new(&lists);
        for entry in lists.into_iter().flatten() {
            let shape = if entry.get("protocol").is_null() { Shape::SingBox } else { Shape::Xray };
            self.entry(entry, shape, &mut siblings, remarks);
            ours = true;
        }
        let outbound = tree.get("outbound");
        if outbound.is_map() && !outbound.get("protocol").is_null() {
            self.entry(outbound, Shape::Xray, &mut Siblings::default(), remarks);
            ours = true;
        }
        ours
    }

    /// Refuses a list that is somewhere else, which cannot be fetched from inside a document.
    fn provider(&mut self, name: &str, provider: &Tree) {
        if !provider.get("payload").items().is_empty() {
            return;
        }
        self.index += 1;
        let place = provider.text(&["url", "download_url", "path"]);
        let code = if place.contains("://") { RejectCode::WebAddress } else { RejectCode::BadField };
        self.parsed.refuse(self.index, &format!("provider {name}: {place}"), code);
    }

    /// Reads a single entry, or the configuration of a client for one server.
    fn single(&mut self, tree: &Tree, depth: usize) -> bool {
        if let Some(result) = client::read(tree) {
            self.index += 1;
            self.result(result, tree, &label(tree, ""));
            return true;
        }
        let shape = match Shape::of(tree) {
            Some(shape) => shape,
            // An address is an entry among others only. A single one may be anything.
            None if depth > 0 && self.default.is_some() && plain::has_address(tree) => Shape::Nameless,
            None => return false,
        };
        self.entry(tree, shape, &mut Siblings::default(), "");
        true
    }

    /// Reads an object around a list of entries, or around one list for each protocol.
    fn wrapped(&mut self, tree: &Tree, depth: usize) -> bool {
        let default = self.default;
        let mut ours = false;
        // Programs name an address of their own in this way, among other settings.
        let only_schemes = tree.pairs().iter().all(|(key, _)| ListScheme::from_name(key).is_some());
        for (key, value) in tree.pairs() {
            if let Some(scheme) = ListScheme::from_name(key).filter(|_| only_schemes || !value.is_scalar()) {
                self.default = Some(scheme);
                let outer = std::mem::replace(&mut self.named, true);
                ours |= self.addresses(value, depth);
                self.named = outer;
            } else if let Some(key) = WRAPPERS.iter().find(|name| **name == key.as_ref()) {
                self.default = default.filter(|_| !AMBIGUOUS.contains(key));
                let is_list = !value.items().is_empty() || (value.is_map() && *key != "servers");
                ours |= is_list && (self.any(value, depth + 1) || self.members(value, depth + 1));
                ours |= self.is_list_text(value) && self.addresses(value, depth);
            }
        }
        self.default = default;
        ours
    }

    /// Reads the entries of an object that has a key for each.
    fn members(&mut self, tree: &Tree, depth: usize) -> bool {
        let entry = |value: &Tree| matches!(Shape::of(value), Some(Shape::Address | Shape::Nameless));
        tree.pairs().iter().filter(|(_, value)| entry(value) && self.any(value, depth)).count() > 0
    }

    /// Whether a text consists of several addresses. A single one may be the address of anything.
    fn is_list_text(&self, value: &Tree) -> bool {
        let Some(default) = self.default.filter(|_| value.is_scalar()) else { return false };
        let mut words = value.scalar().split_whitespace();
        value.scalar().split_whitespace().nth(1).is_some()
            && words.all(|word| !list::addresses(word, default).is_empty())
    }

    /// The addresses under a protocol's name: a list, or one text.
    fn addresses(&mut self, value: &Tree, depth: usize) -> bool {
        if value.is_scalar() {
            return value.scalar().split_whitespace().filter(|word| self.address(word)).count() > 0;
        }
        !value.items().is_empty() && self.any(value, depth + 1)
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

    /// Reads a link or an address in a list.
    fn link(&mut self, text: &str) -> bool {
        let text = text.trim();
        match parse_link(text) {
            Ok((spec, label)) => {
                self.index += 1;
                self.parsed.push(self.index, spec, label);
                true
            }
            Err(_) if self.address(text) => true,
            Err(code) => {
                self.index += 1;
                self.parsed.refuse(self.index, text, code);
                text.contains("://") && code != RejectCode::WebAddress
            }
        }
    }

    /// Reads a bare address; `false` for any other text.
    fn address(&mut self, text: &str) -> bool {
        let nodes = self.default.map(|default| list::addresses(text, default)).unwrap_or_default();
        if nodes.is_empty() {
            return false;
        }
        self.index += 1;
        nodes.into_iter().for_each(|spec| self.parsed.accept(self.index, spec, Label::default()));
        true
    }

    fn entry<'a>(&mut self, entry: &'a Tree, shape: Shape, siblings: &mut Siblings<'a>, remarks: &str) {
        if entry.is_scalar() {
            self.link(entry.scalar());
            return;
        }
        self.index += 1;
        let words = match shape {
            Shape::Clash => Some(Words::Clash),
            Shape::SingBox => Some(Words::SingBox),
            Shape::Xray => Some(Words::Xray),
            _ => None,
        };
        let results: Vec<Result<NodeSpec, RejectCode>> = match (entry, words) {
            (Tree::Broken(text), _) => return self.parsed.refuse(self.index, text, RejectCode::BadDocument),
            (Tree::Map(_), Some(words)) => siblings.read(entry, words, &mut self.allowance),
            (Tree::Map(_), None) => match shape {
                Shape::Sip008 => vec![plain::sip008(entry)],
                Shape::VmessLink => vec![plain::vmess(entry)],
                Shape::Nameless => vec![plain::nameless(entry, self.default, self.named)],
                _ => plain::address(entry),
            },
            (Tree::List(_), _) => vec![Err(RejectCode::BadField)],
            _ => return,
        };
        let label = label(entry, remarks);
        for result in results {
            match (result, words) {
                (Err(RejectCode::BadChain), Some(words)) => {
                    let (key, name) = words.way(entry);
                    let text = format!("{key} {name} of {}", entry.json());
                    self.parsed.refuse(self.index, &text, RejectCode::BadChain);
                }
                (result, _) => self.result(result, entry, &label),
            }
        }
    }

    fn result(&mut self, result: Result<NodeSpec, RejectCode>, entry: &Tree, label: &Label) {
        match result.and_then(|spec| admission::check(&spec).map(|()| spec)) {
            Ok(spec) => self.parsed.push(self.index, spec, label.clone()),
            Err(code) => self.parsed.refuse(self.index, &entry.json(), code),
        }
    }
}

/// The lists that Clash's `proxy-providers` and their like in other clients name.
fn providers(tree: &Tree) -> impl Iterator<Item = (&str, &Tree)> {
    let named = tree.get("proxy-providers").pairs().iter().map(|(name, provider)| (name.as_ref(), provider));
    let listed = ["outbound_providers", "providers"].map(|key| tree.get(key).items());
    let listed = listed.into_iter().flatten().map(|provider| (provider.text(&["tag"]), provider));
    named.chain(listed.filter(|(_, provider)| !provider.text(&["url", "download_url"]).is_empty()))
}

/// The entries of a provider that brings its list along, with what it says about all of them.
fn payload(provider: &Tree) -> Vec<Tree> {
    let over = provider.get("override").pairs();
    let entry = |entry: &Tree| match entry {
        Tree::Map(pairs) => Tree::Map(over.iter().chain(pairs).cloned().collect()),
        other => other.clone(),
    };
    provider.get("payload").items().iter().map(entry).collect()
}

/// The name of an entry; Xray names the whole configuration and calls the entry `proxy`.
fn label(entry: &Tree, remarks: &str) -> Label {
    let own = entry.text(&["name", "tag", "remarks", "remark", "ps"]);
    let nameless = own.is_empty() || own == "proxy" || own == "outbound";
    Label::new(if nameless && !remarks.is_empty() { remarks } else { own })
}
