//! PostgreSQL behind the [`Store`] trait: one database, any number of instances.

mod apply;
mod changes;
mod control;
mod describe;
mod error;
mod fill;
mod history;
mod listener;
mod load;
mod members;
mod nodes;
mod records;
mod restored;
mod schema;
mod server;
mod sessions;
mod shared;
mod transaction;
mod usage;
mod values;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Timestamp, UtcDay};
use parking_lot::{Mutex, RwLock};
use sqlx::{ConnectOptions, Connection, PgPool, postgres::PgPoolOptions};
use tokio::{
    sync::{OnceCell, mpsc},
    time::timeout,
};

use crate::{
    Access, AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep,
    SharedStore, Store, StoreDescription, StoreError, StoreIdentity, StoreSettings, TokenRow, UsageQuery, UsageRow,
};

use server::Server;
use transaction::{Purpose, Transaction};

/// How long making a connection, or waiting for a free one, may take.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// How long closing the connections may take.
const LONGEST_CLOSE: Duration = Duration::from_secs(5);
/// Transactions that PostgreSQL took back because they met another one are tried so often at once.
const TRIES: u32 = 3;
/// A change of more rows than this may take longer than others: it cannot be cut.
const LONG_CHANGE: usize = 20_000;

/// A store in a database of PostgreSQL. It is a handle: its clones are the same store.
#[derive(Clone, Debug)]
pub struct Postgres {
    server: Arc<Server>,
    access: Access,
    pool: PgPool,
    /// Set when the schema was seen to.
    prepared: Arc<OnceCell<()>>,
    identity: Arc<RwLock<StoreIdentity>>,
    /// What may have been added to the usage although its writer was told of a failure.
    doubt: Arc<Mutex<usage::Doubt>>,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]: what is wrong with the settings, the server or the database, and what to do.
    pub async fn open(settings: &StoreSettings, access: Access) -> Result<Self, StoreError> {
        let store = Self::open_later(settings, access)?;
        store.prepared().await?;
        Ok(store)
    }

    /// A store whose server need not be reached yet: it connects, and brings the schema up to date, when it is first used.
    ///
    /// # Errors
    /// [`StoreError`]: what is wrong with the settings.
    pub fn open_later(settings: &StoreSettings, access: Access) -> Result<Self, StoreError> {
        if settings.memory {
            return Err(StoreError::FileOnly { what: "store.memory = true", instead: "set it to false" });
        }
        let server = Arc::new(Server::of(settings)?);
        let connections = u32::try_from(settings.connections).unwrap_or(u32::MAX);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(LONGEST_CONNECT)
            // Whoever waits in vain is told so; the log needs no line for each who had to wait.
            .acquire_slow_threshold(LONGEST_CONNECT)
            .idle_timeout(Duration::from_secs(300))
            // A balancer or a fail-over behind the address takes effect for all connections in the end.
            .max_lifetime(Duration::from_secs(1800))
            .connect_lazy_with(server.options.clone());
        Ok(Self { server, access, pool, prepared: Arc::default(), identity: Arc::default(), doubt: Arc::default() })
    }

    /// Sees to the schema once.
    async fn prepared(&self) -> Result<(), StoreError> {
        self.prepared.get_or_try_init(|| prepare(&self.server, self.access)).await.copied()
    }

    fn identity(&self) -> StoreIdentity {
        self.identity.read().clone()
    }

    async fn begin(&self, purpose: Purpose) -> Result<Transaction, StoreError> {
        self.prepared().await?;
        Transaction::begin(&self.pool, &self.server, purpose).await
    }

    /// Gives up when the server does not answer at all.
    async fn limited<T>(
        &self,
        purpose: Purpose,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let late = |_| StoreError::Slow { server: self.server.name.clone(), detail: "no answer in time".into() };
        timeout(purpose.limit(), work).await.map_err(late)?
    }

    /// Writes in one transaction. What the server took back because it met another instance's change is tried again at once.
    async fn write_in_one(&self, work: Work<'_>) -> Result<(), StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { path: error::place(&self.server) });
        }
        let tries = async {
            for _ in 1..TRIES {
                match self.try_to_write(work).await {
                    Err(StoreError::Conflict { .. }) => {}
                    written => return written,
                }
            }
            self.try_to_write(work).await
        };
        self.limited(work.purpose(), tries).await
    }

    async fn try_to_write(&self, work: Work<'_>) -> Result<(), StoreError> {
        let identity = self.identity();
        let mut transaction = self.begin(work.purpose()).await?;
        let written = match work {
            Work::Changes(changes) => apply::batch(&mut transaction, &identity, changes).await,
            Work::Control(changes) => control::write(&mut transaction, changes).await,
            Work::Usage(growth) => usage::add(&mut transaction, growth, &self.doubt).await,
            Work::Fold(before) => usage::fold(&mut transaction, before).await,
        };
        transaction.finish(written).await
    }

    async fn read_history(
        &self,
        step: HistoryStep,
        times: (Timestamp, Timestamp),
        instance: Option<&str>,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let read = history::read(&mut transaction, step, times, instance).await;
            transaction.finish(read).await
        };
        self.limited(Purpose::Read, read).await
    }
}

/// What one transaction writes.
#[derive(Clone, Copy, Debug)]
enum Work<'a> {
    Changes(&'a [Change]),
    Control(&'a [ControlChange]),
    Usage(&'a [UsageRow]),
    Fold(UtcDay),
}

impl Work<'_> {
    fn purpose(self) -> Purpose {
        match self {
            Self::Changes(changes) if changes.iter().any(may_be_long) => Purpose::LongWrite,
            _ => Purpose::Write,
        }
    }
}

fn may_be_long(change: &Change) -> bool {
    // How many nodes a source lists that is gone only the database knows.
    matches!(change, Change::RemoveSource(_)) || change.weight() > LONG_CHANGE
}

/// Connects once, so that what is wrong is said as it is, and looks after the schema.
async fn prepare(server: &Server, access: Access) -> Result<(), StoreError> {
    let connected = timeout(LONGEST_CONNECT, server.options.connect()).await;
    let late = |_| StoreError::Unreachable { server: server.name.clone(), detail: "no answer in time".into() };
    let mut connection = connected.map_err(late)?.map_err(|error| error::translate(server, error))?;
    match access {
        Access::Exclusive => {
            schema::upgrade(&mut connection, server).await?;
            restored::renumber(&mut connection, server).await?;
        }
        Access::ReadOnly => schema::check(&mut connection, server).await?,
    }
    // Whatever closing says, the work is done.
    let _ = timeout(LONGEST_CLOSE, connection.close()).await;
    Ok(())
}

#[async_trait]
impl Store for Postgres {
    async fn load_in_parts(&self, parts: mpsc::Sender<Contents>) -> Result<(), StoreError> {
        let identity = self.identity();
        let load = async {
            let mut transaction = self.begin(Purpose::Load).await?;
            let loaded = load::in_parts(&mut transaction, &identity.region, &parts).await;
            if parts.is_closed() && loaded.is_ok() {
                // The connection is closed with what has not been read of the answer.
                return Ok(());
            }
            transaction.finish(loaded).await
        };
        self.limited(Purpose::Load, load).await
    }

    async fn load_all_but_nodes(&self) -> Result<Contents, StoreError> {
        let load = async {
            let mut transaction = self.begin(Purpose::Load).await?;
            let loaded = load::everything_but_nodes(&mut transaction).await;
            transaction.finish(loaded).await
        };
        self.limited(Purpose::Load, load).await
    }

    async fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Result<Vec<HistoryRow>, StoreError> {
        self.read_history(step, (from, to), None).await
    }

    async fn own_history(
        &self,
        step: HistoryStep,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let instance = self.identity().instance;
        self.read_history(step, (from, to), Some(&instance)).await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.write_in_one(Work::Changes(changes)).await
    }

    async fn load_control(&self) -> Result<ControlContents, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let loaded = control::load(&mut transaction).await;
            transaction.finish(loaded).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn load_tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let loaded = control::tokens(&mut transaction).await;
            transaction.finish(loaded).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn write_control(&self, changes: &[ControlChange]) -> Result<(), StoreError> {
        self.write_in_one(Work::Control(changes)).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let read = control::audit(&mut transaction, query).await;
            transaction.finish(read).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn add_usage(&self, growth: &[UsageRow]) -> Result<(), StoreError> {
        self.write_in_one(Work::Usage(growth)).await?;
        *self.doubt.lock() = usage::Doubt::default();
        Ok(())
    }

    async fn usage_totals(&self) -> Result<Vec<UsageRow>, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let read = usage::totals(&mut transaction).await;
            transaction.finish(read).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let read = usage::select(&mut transaction, query).await;
            transaction.finish(read).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn fold_usage(&self, before: UtcDay) -> Result<(), StoreError> {
        self.write_in_one(Work::Fold(before)).await
    }

    async fn describe(&self) -> Result<StoreDescription, StoreError> {
        let read = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let described = describe::describe(&mut transaction, &self.server).await;
            transaction.finish(described).await
        };
        self.limited(Purpose::Read, read).await
    }

    async fn backup(&self, to: &Path, replace: bool) -> Result<(), StoreError> {
        crate::transfer::backup(self, to, replace).await
    }

    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        Some(Arc::new(self.clone()))
    }

    async fn close(&self) {
        // A server that does not answer must not keep the program from ending.
        let _ = timeout(LONGEST_CLOSE, self.pool.close()).await;
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::NodeId;

    use super::*;

    #[test]
    fn what_cannot_be_cut_has_more_time() {
        let list = |nodes: usize| Change::SetListing {
            source: "a".into(),
            ids: vec![NodeId::from_bytes([1; 16]); nodes],
            complete: true,
        };
        let purpose = |changes: &[Change]| Work::Changes(changes).purpose();
        assert_eq!(purpose(&[list(3), list(LONG_CHANGE)]), Purpose::Write);
        assert_eq!(purpose(&[list(3), list(LONG_CHANGE + 1)]), Purpose::LongWrite);
        assert_eq!(purpose(&[Change::RemoveSource("a".into())]), Purpose::LongWrite);
        assert_eq!(Work::Fold(UtcDay(1)).purpose(), Purpose::Write);
    }
}
