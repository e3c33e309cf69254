//! What an operator says about a node.

use std::sync::Arc;

use super::{
    Node,
    health::{DISABLED, PINNED},
};

/// What an operator says about a node. The pool keeps it by the id, so that a node that comes back has it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// It carries nothing and is not probed.
    pub disabled: bool,
    /// It is never forgotten, whatever lists it and however long it is dead.
    pub pinned: bool,
    /// Words for the expressions of listeners, beside the tags of its sources.
    pub tags: Vec<Box<str>>,
    /// A text for people.
    pub note: Box<str>,
}

impl<D> Node<D> {
    /// What an operator says about it.
    #[must_use]
    pub fn annotation(&self) -> Option<Arc<Annotation>> {
        self.facts().annotation()
    }

    /// Whether an operator has switched it off: it carries nothing and is not probed.
    #[must_use]
    pub fn disabled(&self) -> bool {
        self.has_flag(DISABLED)
    }

    /// Whether it is never forgotten.
    #[must_use]
    pub fn pinned(&self) -> bool {
        self.has_flag(PINNED)
    }

    /// Whether an operator has given it this tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.annotation().is_some_and(|annotation| annotation.tags.iter().any(|own| **own == *tag))
    }

    /// Whether it is to be probed: a dialer can be built for it, and it is not switched off.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        !self.disabled() && self.unsupported().is_none()
    }

    pub(crate) fn set_annotation(&self, annotation: Option<Arc<Annotation>>) {
        let mut facts = self.facts();
        let is = |said: fn(&Annotation) -> bool| annotation.as_deref().is_some_and(said);
        self.set_flag(DISABLED, is(|annotation| annotation.disabled));
        self.set_flag(PINNED, is(|annotation| annotation.pinned));
        facts.set_annotation(annotation);
    }
}
