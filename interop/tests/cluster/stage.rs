//! A cluster with a world of nodes behind it.

use std::path::PathBuf;

use hezar_interop::harness::programs;
use hezar_lab::{
    Fault, Kind, World, WorldConfig,
    cluster::{Cluster, Member},
};
use tokio::runtime::Runtime;

/// What a test has.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) world: World,
    runtime: Runtime,
}

impl Stage {
    /// A new database and so many nodes, which are the list of the fetchers; `None`, with a line that says so, where a program is missing.
    pub(crate) fn open<const N: usize>(test: &str, nodes: usize, parts: [&str; N]) -> Option<(Self, [PathBuf; N])> {
        let (hezar, parts) = programs(test, parts)?;
        let cluster = Cluster::open(test, &hezar).unwrap()?;
        let runtime = Runtime::new().unwrap();
        let mut config = WorldConfig::kinds(std::iter::repeat_n(Kind::Socks5, nodes));
        config.max_connections = 4096;
        let world = runtime.block_on(World::start(config)).unwrap();
        cluster.list(&world.links()).unwrap();
        Some((Self { cluster, world, runtime }, parts))
    }

    /// Lets a node be as it is told.
    pub(crate) fn set_fault(&self, index: usize, fault: Fault) {
        self.runtime.block_on(self.world.set_fault(index, fault)).unwrap();
    }
}

/// Waits until each of these members knows so many nodes that work.
pub(crate) fn know_healthy<'a>(members: impl IntoIterator<Item = &'a Member>, count: usize) {
    members.into_iter().for_each(|member| member.knows_healthy(count as u64).unwrap());
}

/// The identity of a node, from its link.
pub(crate) fn id(link: &str) -> String {
    hezar_formats::parse_link(link).unwrap().0.id().to_string()
}
