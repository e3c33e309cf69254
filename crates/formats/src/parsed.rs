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

/// The result of parsing a text, in order of appearance.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_fit_to_be_shown() {
        let reject = Reject::new(3, &format!("  a\n\u{202e}b{}", "é".repeat(200)), RejectCode::NotALink);
        assert_eq!(reject.excerpt.chars().count(), Reject::EXCERPT_CHARS);
        assert!(reject.excerpt.starts_with("a béé"), "{}", reject.excerpt);
    }

    #[test]
    fn refusals_are_bounded() {
        let mut parsed = Parsed::default();
        (0..=Parsed::MAX_REJECTS).for_each(|line| parsed.refuse(line, "", RejectCode::NotALink));
        assert_eq!(parsed.rejects.len(), Parsed::MAX_REJECTS);
    }

    #[test]
    fn a_node_that_no_link_can_carry_is_refused() {
        let (spec, _) = crate::parse_link("trojan://p@192.0.2.1:443").unwrap();
        let mut parsed = Parsed::default();
        parsed.accept(1, spec.clone(), Label::default());
        let tls = hezar_core::Tls { pins: vec![hezar_core::UNREADABLE_PIN], ..hezar_core::Tls::default() };
        let anytls = hezar_core::AnyTls { password: "p".into(), tls };
        let outbound = hezar_core::Outbound::AnyTls(Box::new(anytls));
        parsed.accept(2, NodeSpec::new(spec.server.clone(), outbound), Label::new("name"));
        assert_eq!((parsed.nodes.len(), parsed.nodes[0].line), (1, 1));
        assert_eq!((parsed.rejects[0].line, parsed.rejects[0].code), (2, RejectCode::BadPin));
        assert_eq!(&*parsed.rejects[0].excerpt, "anytls://192.0.2.1:443 name");
    }
}
