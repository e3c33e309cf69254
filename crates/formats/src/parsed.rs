//! The result of parsing: nodes and refusals, each with its line.

use hezar_core::{Label, NodeSpec, displayable};

use crate::{RejectCode, link::admission};

/// One node as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The 1-based line of the (decoded) text, or the 1-based index of the entry in YAML or JSON.
    pub line: usize,
    /// The node.
    pub spec: NodeSpec,
    /// Its published name; may be empty.
    pub label: Label,
}

/// One refused line or entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// As in [`Entry::line`].
    pub line: usize,
    /// The first characters of the text, at most [`Reject::EXCERPT_CHARS`], made fit to be shown ([`displayable`]).
    pub excerpt: Box<str>,
    /// Why.
    pub code: RejectCode,
}

impl Reject {
    /// The longest excerpt, in characters.
    pub const EXCERPT_CHARS: usize = 80;

    /// Refuses `text` at `line`.
    #[must_use]
    pub fn new(line: usize, text: &str, code: RejectCode) -> Self {
        let excerpt: String = displayable(text.trim()).take(Self::EXCERPT_CHARS).collect();
        Self { line, excerpt: excerpt.into(), code }
    }
}

/// Everything a text held, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The nodes; the same endpoint may appear more than once.
    pub nodes: Vec<Entry>,
    /// The refusals.
    pub rejects: Vec<Reject>,
}

impl Parsed {
    /// The most nodes kept of one text.
    pub const MAX_NODES: usize = 1_000_000;
    /// The most refusals kept of one text.
    pub const MAX_REJECTS: usize = 100_000;

    /// Adds a node, or a refusal if no link can carry it back ([`crate::parse_link`]); beyond [`Parsed::MAX_NODES`] it is
    /// dropped.
    pub fn accept(&mut self, line: usize, spec: NodeSpec, label: Label) {
        match admission::check(&spec) {
            Ok(()) => self.push(line, spec, label),
            Err(code) => self.refuse(line, &format!("{}://{} {label}", spec.scheme(), spec.server), code),
        }
    }

    /// Adds a node that was checked before.
    pub(crate) fn push(&mut self, line: usize, spec: NodeSpec, label: Label) {
        if self.nodes.len() < Self::MAX_NODES {
            self.nodes.push(Entry { line, spec, label });
        }
    }

    /// Adds a refusal; beyond [`Parsed::MAX_REJECTS`] it is dropped.
    pub fn refuse(&mut self, line: usize, text: &str, code: RejectCode) {
        if self.rejects.len() < Self::MAX_REJECTS {
            self.rejects.push(Reject::new(line, text, code));
        }
    }
}
