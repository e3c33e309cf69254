//! Makes the readers of sources, and takes out of use what a source that is gone has listed.

use std::sync::Arc;

use anyhow::anyhow;
use hezar_core::{NodeId, Timestamp};
use hezar_engine::{AddressPolicy, Clock, Dialer, Engine, TlsClients};
use hezar_fetch::{FetchMetrics, Fetcher, Via};
use hezar_pool::PoolChange;
use tokio::task::spawn_blocking;

use super::{
    ProvidedLists, Upstreams,
    pool_dialer::{FetchRoutes, PoolDialer},
    reader::Reader,
    status::SourceTable,
};
use crate::{
    config::{Config, SourceConfig, SourceOrigin},
    convert,
    nodes::Nodes,
};

/// What readers are made of.
pub(super) struct ReaderFactory {
    pub(super) pool: Arc<Nodes>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) tls: TlsClients,
    pub(super) clock: Clock,
    pub(super) metrics: FetchMetrics,
    pub(super) table: SourceTable,
    /// The lists of sources that are not fetched.
    pub(super) provided: ProvidedLists,
    /// What is known of sources that are other instances.
    pub(super) upstreams: Upstreams,
}

impl ReaderFactory {
    /// A reader for each source that is switched on: the old one where nothing about it has changed.
    pub(super) fn readers(&self, config: &Config, old: &[Reader], fetch_changed: bool) -> Vec<Reader> {
        let fetcher = Arc::new(Fetcher::new(convert::fetch(config), self.tls.clone(), self.metrics.clone()));
        let via: Arc<dyn Dialer> =
            Arc::new(PoolDialer { pool: Arc::clone(&self.pool), engine: Arc::clone(&self.engine), clock: self.clock });
        let reader = |source: &SourceConfig| {
            let known = old.iter().find(|reader| *reader.source == *source && !fetch_changed);
            known.cloned().unwrap_or_else(|| {
                let reader = self.reader(source, config, &fetcher, &via);
                self.upstreams.set(&source.name, reader.upstream.clone());
                reader
            })
        };
        config.sources.iter().filter(|source| source.enabled).map(reader).collect()
    }

    /// A reader that is not one of the collector's.
    pub(super) fn single(&self, source: &SourceConfig, config: &Config) -> Reader {
        let fetcher = Arc::new(Fetcher::new(convert::fetch(config), self.tls.clone(), self.metrics.clone()));
        let via = PoolDialer { pool: Arc::clone(&self.pool), engine: Arc::clone(&self.engine), clock: self.clock };
        self.reader(source, config, &fetcher, &(Arc::new(via) as Arc<dyn Dialer>))
    }

    fn reader(&self, source: &SourceConfig, config: &Config, fetcher: &Arc<Fetcher>, via: &Arc<dyn Dialer>) -> Reader {
        let direct = || self.engine.direct(AddressPolicy::allowing_private(source.allow_private));
        Reader {
            routes: match source.via {
                Via::Pool => FetchRoutes::only(Arc::clone(via)),
                // A node is a stranger: over it goes only what TLS protects.
                Via::Auto if source.origin.is_protected(&config.fetch) => {
                    FetchRoutes::either(direct(), Arc::clone(via))
                }
                Via::Direct | Via::Auto => FetchRoutes::only(direct()),
            },
            source: Arc::new(source.clone()),
            fetcher: Arc::clone(fetcher),
            pool: Arc::clone(&self.pool),
            clock: self.clock,
            table: self.table.clone(),
            retired: Arc::default(),
            provided: self.provided.clone(),
            tls: self.tls.clone(),
            upstream: is_upstream(source).then(|| self.upstreams.unread()),
        }
    }

    /// Takes everything out of use that this source alone lists, and forgets the source.
    pub(super) async fn drop_source(&self, name: &Arc<str>, now: Timestamp) -> anyhow::Result<()> {
        let (pool, source) = (Arc::clone(&self.pool), Arc::clone(name));
        // This walks over all nodes.
        spawn_blocking(move || {
            pool.apply(PoolChange::Remove(only_from(&pool, &source)), now);
            pool.apply(PoolChange::DropSource(source), now);
        })
        .await?;
        self.table.forget(name).await.map_err(|_| anyhow!("the store's writer has ended"))
    }
}

/// Whether a source is another instance.
pub(super) const fn is_upstream(source: &SourceConfig) -> bool {
    matches!(source.origin, SourceOrigin::Hezar { .. })
}

/// The nodes that this source alone lists, or was the last to list.
fn only_from(pool: &Nodes, name: &str) -> Vec<NodeId> {
    let snapshot = pool.snapshot();
    let only = snapshot.nodes().filter(|node| match node.sources().as_slice() {
        [] => node.kept_from().is_some_and(|kept| &*kept.source == name),
        [listing] => &*listing.source == name,
        _ => false,
    });
    only.map(|node| node.id()).collect()
}
