//! Bans of exits for sites over a restart: what changes in the pool is written behind, and what the store kept comes back.

use std::{sync::Arc, time::Duration};

use hezar_api::ApiError;
use hezar_core::Timestamp;
use hezar_pool::{SiteBan, SiteBanChange};
use hezar_store::{Change, SiteBanRow, Writer, WriterClosed};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::status::{self, DURABLE_WAIT};
use crate::nodes::Nodes;

/// How often changes are looked for; bans that rules of listeners made in this time may be lost when the program is killed.
const EVERY: Duration = Duration::from_secs(1);

/// Gives the pool the bans that the store kept, without those that have ended; returns what has to be written.
pub(crate) fn restore(rows: Vec<SiteBanRow>, pool: &Nodes, now: Timestamp) -> Vec<Change> {
    let (running, ended): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.until > now);
    running.into_iter().for_each(|row| pool.ban_exit(ban(row)));
    // What the store knows already is not written again; of too many, some have ended in the pool.
    let beyond = pool.take_exit_ban_changes().into_iter().map(row).filter(is_removal);
    let end = |SiteBanRow { site, exit, until, .. }| Change::RemoveSiteBan { site, exit, until };
    let ended = ended.into_iter().map(end);
    ended.chain(beyond).collect()
}

const fn is_removal(change: &Change) -> bool {
    matches!(change, Change::RemoveSiteBan { .. })
}

/// A ban as the store keeps it.
pub(crate) fn ban(row: SiteBanRow) -> SiteBan {
    let SiteBanRow { site, exit, since, until, reason } = row;
    SiteBan { site, exit, since, until, reason }
}

/// What the store is told of a change.
fn row(change: SiteBanChange) -> Change {
    match change {
        SiteBanChange::Put(SiteBan { site, exit, since, until, reason }) => {
            Change::PutSiteBan(SiteBanRow { site, exit, since, until, reason })
        }
        SiteBanChange::Removed { site, exit, until } => {
            Change::RemoveSiteBan { site, exit, until: until.unwrap_or(Change::WHENEVER) }
        }
    }
}

/// The way of the bans from the pool to the writer.
pub(crate) struct SiteBanSync {
    pool: Arc<Nodes>,
    writer: Writer,
    /// Whoever hands over does so alone: what was taken later must not be written first.
    order: Mutex<()>,
}

impl SiteBanSync {
    pub(crate) fn new(pool: Arc<Nodes>, writer: Writer) -> Self {
        Self { pool, writer, order: Mutex::default() }
    }

    /// Hands every change over until `stop`, and then what is left.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = sleep(EVERY) => false,
            };
            if self.hand_over().await.is_err() || stopped {
                return;
            }
        }
    }

    /// Hands over what has changed until now, and waits a moment until it is in the store; false when the store is behind.
    pub(crate) async fn save(&self) -> Result<bool, ApiError> {
        match timeout(DURABLE_WAIT, self.hand_over()).await {
            Ok(Ok(())) => status::save(&self.writer, Vec::new()).await,
            Ok(Err(WriterClosed)) => Err(ApiError::Unavailable),
            Err(_) => Err(ApiError::StoreOverflow),
        }
    }

    async fn hand_over(&self) -> Result<(), WriterClosed> {
        let _alone = self.order.lock().await;
        let place = self.writer.place().await?;
        let changes: Vec<Change> = self.pool.take_exit_ban_changes().into_iter().map(row).collect();
        if !changes.is_empty() {
            place.put(changes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hezar_pool::Rules;
    use hezar_store::{Access, Sqlite, Store, WriterConfig};

    use super::*;

    fn row(site: &str, exit: [u8; 4], until: u64) -> SiteBanRow {
        SiteBanRow {
            site: site.into(),
            exit: IpAddr::from(exit),
            since: Timestamp(1),
            until: Timestamp(until),
            reason: "test".into(),
        }
    }

    #[test]
    fn bans_come_back_and_those_that_have_ended_leave_the_store() {
        let pool = Nodes::new(Rules::default());
        let rows = vec![row("a.example", [192, 0, 2, 1], 50), row("b.example", [192, 0, 2, 2], 100)];
        let repairs = restore(rows, &pool, Timestamp(50));
        let ended =
            Change::RemoveSiteBan { site: "a.example".into(), exit: [192, 0, 2, 1].into(), until: Timestamp(50) };
        assert_eq!(repairs, [ended]);
        let bans = pool.exit_bans(Timestamp(50));
        assert_eq!((bans.len(), &*bans[0].site, bans[0].until), (1, "b.example", Timestamp(100)));
        assert!(pool.take_exit_ban_changes().is_empty(), "what the store knows is not written again");
    }

    #[tokio::test]
    async fn what_was_saved_is_in_the_store_and_what_was_lifted_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(Sqlite::open(&folder.path().join("hezar.db"), Access::Exclusive).await.unwrap());
        let (writer, behind) = Writer::new(Arc::clone(&store), WriterConfig::default());
        let stop = CancellationToken::new();
        let writing = tokio::spawn(behind.run(stop.clone()));
        let pool = Arc::new(Nodes::new(Rules::default()));
        let sync = SiteBanSync::new(Arc::clone(&pool), writer);
        let known = row("b.example", [192, 0, 2, 2], 100);
        pool.ban_exit(ban(known.clone()));
        assert_eq!(sync.save().await, Ok(true));
        assert_eq!(store.load().await.unwrap().site_bans, std::slice::from_ref(&known));
        assert!(pool.lift_exit_ban(&known.site, known.exit));
        assert_eq!(sync.save().await, Ok(true));
        assert_eq!(store.load().await.unwrap().site_bans, []);
        stop.cancel();
        writing.await.unwrap();
    }
}
