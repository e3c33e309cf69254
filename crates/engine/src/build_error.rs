//! Why no dialer can be built for a node.

use hezar_core::CodeDoc;
use thiserror::Error;

/// Why no dialer can be built for a node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The protocol, or one of its settings, is not implemented.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// A setting has a value that the protocol does not allow.
    #[error("{0}")]
    Invalid(&'static str),
}

impl BuildError {
    /// Every code with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new(
            Self::UNSUPPORTED,
            "The node's protocol, transport or security is not implemented, and no installed core dials it (docs/cores.md); it is kept and not dialled.",
        ),
        CodeDoc::new("node-invalid", "A setting of the node has a value that its protocol does not allow."),
    ];

    /// The code of [`Self::Unsupported`].
    pub const UNSUPPORTED: &'static str = "node-unsupported";

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => Self::UNSUPPORTED,
            Self::Invalid(_) => "node-invalid",
        }
    }
}
