//! REALITY: refused when a node is built, until it is implemented.

use hezar_core::Reality;

use crate::BuildError;

/// Why a node with these settings cannot be built.
pub(crate) const fn refusal(settings: &Reality) -> BuildError {
    let _ = settings;
    BuildError::Unsupported("REALITY")
}
