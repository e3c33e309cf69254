//! The settings of the pool.

use std::time::Duration;

use hezar_core::settings;

settings! {
    /// How much lists from strangers may bring; what is beyond is counted and left out.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PoolSettings in "pool" {
        /// In all; what never worked and is listed no more goes first, then the dead.
        pub max_nodes: usize [1..=10_000_000] = 1_000_000;
        /// Listed by one source.
        pub max_nodes_per_source: usize [1..=10_000_000] = 100_000;
        /// On one host; a content network's address may stand for thousands.
        /// Loopback hosts have no such limit.
        pub max_nodes_per_server: usize [1..=10_000_000] = 10_000;
        /// False: nodes that take any certificate (skip-cert-verify) are kept and never used.
        pub allow_insecure: bool = true;
    }
}

settings! {
    /// When a node is dead, and when it is forgotten.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HealthSettings in "probe" {
        /// Failures in a row.
        pub dead_after: u32 [1..=100] = 3, set;
        /// A dead node that no source lists any more is dropped after this.
        pub forget_after: Duration [Duration::from_secs(1)..=Duration::from_secs(365 * 86_400)] = Duration::from_secs(3 * 86_400);
    }
}
