//! Parses YAML into a tree. Depth, aliases and size are bounded by the length of the text.

use crate::tree::{MAX_DEPTH, Tree};
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The text is not YAML, or nests or repeats itself beyond the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// How much aliases may add: so many bytes, or four times the length of the text. Lists of many thousand nodes share one anchor.
const FREE_COPIES: usize = 16 << 20;

/// Reads every document of a text.
pub(super) fn read(text: &str) -> Result<Vec<Tree>, Malformed> {
    let mut builder = Builder {
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        copies_left: FREE_COPIES.max(text.len().saturating_mul(4)),
    };
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|_| Malformed)?;
        builder.take(event)?;
    }
    if builder.open.is_empty() { Ok(builder.documents) } else { Err(Malformed) }
}

/// A list or a map whose end has not come yet.
struct Open {
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Tree>),
    Map(Map),
}

#[derive(Default)]
struct Map {
    pairs: Vec<(Box<str>, Tree)>,
    /// The key whose value has not come yet.
    key: Option<Key>,
    /// The maps that merge keys name, in their order.
    merged: Vec<Tree>,
}

enum Key {
    Name(Box<str>),
    /// `<<` without quotes.
    Merge,
}

impl Map {
    fn put(&mut self, tree: Tree) {
        match self.key.take() {
            None if matches!(&tree, Tree::Plain(text) if text.as_ref() == "<<") => self.key = Some(Key::Merge),
            None => self.key = Some(Key::Name(tree.scalar().into())),
            Some(Key::Name(name)) => self.pairs.push((name, tree)),
            Some(Key::Merge) => self.merged.push(tree),
        }
    }

    /// The map with what it merges (<https://yaml.org/type/merge.html>): its own keys win, and of several merged maps
    /// the earlier one. Merged maps are whole already, so that theirs are in them.
    fn finish(mut self) -> Tree {
        if self.merged.is_empty() {
            return Tree::Map(self.pairs);
        }
        let mut known: HashSet<Box<str>> = self.pairs.iter().map(|(key, _)| key.clone()).collect();
        let maps = self.merged.into_iter().flat_map(|tree| if let Tree::List(maps) = tree { maps } else { vec![tree] });
        for (key, value) in maps.flat_map(|tree| if let Tree::Map(pairs) = tree { pairs } else { Vec::new() }) {
            if known.insert(key.clone()) {
                self.pairs.push((key, value));
            }
        }
        Tree::Map(self.pairs)
    }
}

struct Builder {
    documents: Vec<Tree>,
    open: Vec<Open>,
    /// The anchored values with their weight.
    anchors: HashMap<usize, (Tree, usize)>,
    copies_left: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), Malformed> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let tree = match text.as_ref() {
                    "" | "~" | "null" | "Null" | "NULL" if plain => Tree::Null,
                    text if plain => Tree::Plain(text.into()),
                    text => Tree::Quoted(text.into()),
                };
                self.put(tree, anchor)
            }
            Event::SequenceStart(anchor, _) => self.push(anchor, Kind::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.push(anchor, Kind::Map(Map::default())),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().ok_or(Malformed)?;
                let tree = match open.kind {
                    Kind::List(items) => Tree::List(items),
                    Kind::Map(map) => map.finish(),
                };
                self.put(tree, open.anchor)
            }
            Event::Alias(anchor) => {
                // An alias to a value that is still open would make the tree endless.
                let (tree, weight) = self.anchors.get(&anchor).ok_or(Malformed)?;
                self.copies_left = self.copies_left.checked_sub(*weight).ok_or(Malformed)?;
                self.put(tree.clone(), 0)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn push(&mut self, anchor: usize, kind: Kind) -> Result<(), Malformed> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Malformed);
        }
        self.open.push(Open { anchor, kind });
        Ok(())
    }

    fn put(&mut self, tree: Tree, anchor: usize) -> Result<(), Malformed> {
        if anchor > 0 {
            let (weight, depth) = measure(&tree);
            // The copy that the anchor keeps counts as well.
            self.copies_left = self.copies_left.checked_sub(weight).ok_or(Malformed)?;
            if depth + self.open.len() > MAX_DEPTH {
                return Err(Malformed);
            }
            self.anchors.insert(anchor, (tree.clone(), weight));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.documents.push(tree),
            Some(Kind::List(items)) => items.push(tree),
            Some(Kind::Map(map)) => map.put(tree),
        }
        Ok(())
    }
}

/// About how many bytes a tree takes, and how deep it is.
fn measure(tree: &Tree) -> (usize, usize) {
    let add = |(weight, depth): (usize, usize), tree: &Tree| {
        let (w, d) = measure(tree);
        (weight + w, depth.max(d))
    };
    let (weight, depth) = match tree {
        Tree::Null => (0, 0),
        Tree::Plain(text) | Tree::Quoted(text) | Tree::Broken(text) => (text.len(), 0),
        Tree::List(items) => items.iter().fold((0, 1), add),
        Tree::Map(pairs) => pairs.iter().fold((0, 1), |sum, (key, value)| add((sum.0 + key.len(), sum.1), value)),
    };
    (weight + size_of::<Tree>(), depth)
}
