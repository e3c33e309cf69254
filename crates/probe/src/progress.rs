//! How far a single pass has come.

/// The numbers of a pass over all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nodes in the pass.
    pub total: usize,
    /// Nodes that are through.
    pub done: usize,
    /// Of these: nodes that work.
    pub ok: usize,
    /// Nodes that do not, whether or not the guard lets it count.
    pub failed: usize,
    /// Nodes that no dialer can be built for.
    pub unsupported: usize,
}
