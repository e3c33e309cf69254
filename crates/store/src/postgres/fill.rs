//! Putting the contents of another store into a database, in one transaction.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Executor;
use tokio::{sync::mpsc, time::sleep};

use super::{
    Postgres, apply, control,
    error::{place, translate},
    schema,
    transaction::{Purpose, Transaction},
    usage,
};
use crate::{StoreError, StoreIdentity, transfer::Batch};

/// Whether any instance is connected.
const OTHERS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
     AND application_name LIKE 'hezar%')";
/// A transaction sees the sessions of when it first looked, unless it forgets them (PostgreSQL 15, §28.2.2).
const LOOK_ANEW: &str = "SELECT pg_stat_clear_snapshot()";
/// How often others are looked for: the server notices a moment later that a connection has ended.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Nobody may write between looking and filling.
const LOCK: &str = "LOCK TABLE proxies, sources, objects IN ACCESS EXCLUSIVE MODE";
const HOLDS_SOMETHING: &str = "SELECT EXISTS (SELECT FROM proxies) OR EXISTS (SELECT FROM sources) OR EXISTS (SELECT FROM listings) \
     OR EXISTS (SELECT FROM sessions) OR EXISTS (SELECT FROM bans) OR EXISTS (SELECT FROM site_bans) OR EXISTS (SELECT FROM annotations) \
     OR EXISTS (SELECT FROM dashboard) OR EXISTS (SELECT FROM objects) OR EXISTS (SELECT FROM api_tokens) OR EXISTS (SELECT FROM audit) \
     OR EXISTS (SELECT FROM usage) OR EXISTS (SELECT FROM history)";
const EMPTY: &str = "TRUNCATE proxies, records, sources, listings, sessions, bans, site_bans, annotations, dashboard, objects, api_tokens, \
     audit, usage, history";
/// Who has a position in the order of changes of the contents before loads everything anew.
const NEW_IDENTITY: &str = "UPDATE database_identity SET id = gen_random_uuid()";
/// The planner knows nothing of the new rows until somebody counts.
const ANALYZE: &str = "ANALYZE";

impl Postgres {
    /// Takes everything that is sent in the place of what is there: all of it, or nothing when the end does not come.
    pub(crate) async fn fill(&self, batches: mpsc::Receiver<Batch>, replace: bool) -> Result<(), StoreError> {
        let filled = async {
            let mut transaction = self.begin(Purpose::Fill).await?;
            self.make_room(&mut transaction, replace).await?;
            if !take(&mut transaction, &self.identity(), batches)
                .await
                .map_err(|error| translate(&self.server, error))?
            {
                // Who reads has failed, and says why; nothing of it stays.
                return Ok(());
            }
            transaction.finish(Ok(())).await
        };
        self.limited(Purpose::Fill, filled).await?;
        // Without it the first queries are slow, and nothing else.
        let _ = self.pool.execute(ANALYZE).await;
        Ok(())
    }

    async fn make_room(&self, transaction: &mut Transaction, replace: bool) -> Result<(), StoreError> {
        let failed = |error| translate(&self.server, error);
        if is_in_use(transaction).await.map_err(failed)? {
            return Err(StoreError::InUse { path: place(&self.server), pid: None });
        }
        transaction.execute(LOCK).await.map_err(failed)?;
        let holds_something = schema::flag(transaction, HOLDS_SOMETHING).await.map_err(failed)?;
        if holds_something && !replace {
            return Err(StoreError::NotEmpty { store: self.server.to_string().into() });
        }
        for statement in [EMPTY, NEW_IDENTITY] {
            transaction.execute(statement).await.map_err(failed)?;
        }
        Ok(())
    }
}

async fn is_in_use(transaction: &mut Transaction) -> Result<bool, sqlx::Error> {
    for _ in 0..LOOKS {
        transaction.execute(LOOK_ANEW).await?;
        if !schema::flag(transaction, OTHERS).await? {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
    Ok(true)
}

/// Writes what comes; false when the end does not.
async fn take(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<bool, sqlx::Error> {
    while let Some(batch) = batches.recv().await {
        match batch {
            Batch::Changes(changes) => apply::batch(transaction, identity, &changes).await?,
            Batch::Control(changes) => control::write(transaction, &changes).await?,
            Batch::Usage(rows) => usage::add(transaction, &rows, &Mutex::default()).await?,
            Batch::End => return Ok(true),
        }
    }
    Ok(false)
}
