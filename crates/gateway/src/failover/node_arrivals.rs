//! Wakes the requests that wait for a first node, when one of the pool's new nodes has been probed.

use hezar_pool::Pool;
use tokio::sync::{Mutex, Notify};

/// The requests of one listener that wait. One of them watches the pool and wakes the others; when it gives up, the next
/// one takes its place. While nobody waits nothing is watched.
#[derive(Debug, Default)]
pub(crate) struct NodeArrivals {
    watching: Mutex<()>,
    arrived: Notify,
}

impl NodeArrivals {
    /// Waits as long as the pool has only nodes that were never probed. May be dropped at any time.
    pub(crate) async fn wait<D: Clone + Send + Sync + 'static>(&self, pool: &Pool<D>) {
        let woken = self.arrived.notified();
        tokio::select! {
            () = woken => {}
            _watching = self.watching.lock() => {
                let watch = pool.watch_states();
                while pool.snapshot().counts().only_new() {
                    watch.changed().await;
                    drop(watch.take(usize::MAX));
                }
                self.arrived.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use hezar_core::{Label, NodeSpec, Outbound, SocksProxy, SocksVersion, Target, Timestamp};
    use hezar_pool::{Origin, Outcome, PoolChange, Rules};
    use tokio::time::timeout;

    use super::*;

    fn pool() -> (Arc<Pool<()>>, NodeSpec) {
        let proxy = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
        let spec = NodeSpec::new(Target::parse("192.0.2.1:1080").unwrap(), Outbound::Socks(proxy));
        let pool = Arc::new(Pool::new(Rules::default()));
        let nodes = vec![(spec.clone(), Label::default())];
        let listed = PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true };
        pool.apply(listed, Timestamp(1));
        (pool, spec)
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_woken_by_the_first_node_and_by_nothing_else() {
        let ((pool, spec), arrivals) = (pool(), Arc::new(NodeArrivals::default()));
        // The one that watches gives up; the next one goes on.
        assert!(timeout(Duration::from_secs(3), arrivals.wait(&pool)).await.is_err());
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let (pool, arrivals) = (pool.clone(), arrivals.clone());
                tokio::spawn(async move { arrivals.wait(&pool).await })
            })
            .collect();
        assert!(timeout(Duration::from_secs(3), arrivals.wait(&pool)).await.is_err());
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        pool.report(spec.id(), &Outcome::success(Origin::Probe, Duration::from_millis(5)), Timestamp(2));
        for waiting in waiting {
            timeout(Duration::from_secs(3), waiting).await.expect("it was woken").unwrap();
        }
        arrivals.wait(&pool).await;
    }
}
