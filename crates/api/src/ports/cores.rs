//! Installed cores that dial what this program does not speak.

use crate::CoresDto;

/// Installed cores that dial what this program does not speak.
pub trait CoresPort: Send + Sync + 'static {
    /// The cores that are there, those that are missing, and the nodes that they have refused.
    fn cores(&self) -> CoresDto;
}
