//! One transaction on a connection of the pool: everything goes through one, since a pooler in transaction mode gives each its own
//! connection, and limits of time that are set for it end with it.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{Executor, PgConnection, PgPool, Postgres, pool::PoolConnection, postgres::PgArguments, query::Query};

use super::{Server, error::translate};
use crate::StoreError;

/// What a transaction is for. The server ends a statement that takes longer, and a transaction whose client has fallen silent: one that
/// is left open would hold back everybody who reads changes in the order of commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reading a few rows, all of them as of one moment.
    Read,
    /// Reading what has changed: as much as all rows, after a while away.
    Follow,
    /// Reading everything, as of one moment.
    Load,
    Write,
    /// Writing a long list, which goes as a whole.
    LongWrite,
    /// Writing everything anew.
    Fill,
}

impl Purpose {
    const fn begin(self) -> &'static str {
        match self {
            Self::Read => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '20s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '10s'"
            }
            // A plan that is kept for all positions reads whole tables.
            Self::Follow => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '150s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL plan_cache_mode = force_custom_plan"
            }
            Self::Load => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '30min'; \
                 SET LOCAL idle_in_transaction_session_timeout = '5min'"
            }
            Self::Write => {
                "BEGIN; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '10s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '10s'"
            }
            Self::LongWrite => {
                "BEGIN; SET LOCAL statement_timeout = '150s'; SET LOCAL lock_timeout = '10s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '10s'"
            }
            Self::Fill => {
                "BEGIN; SET LOCAL statement_timeout = '30min'; SET LOCAL lock_timeout = '10s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '5min'"
            }
        }
    }

    /// How long the whole transaction may take here, with all that it waits for. More than the server's limits, so that its answer comes
    /// first; it counts when nothing comes back at all.
    pub(super) const fn limit(self) -> Duration {
        match self {
            Self::Read => Duration::from_secs(30),
            Self::Follow => Duration::from_secs(3 * 60),
            Self::Load => Duration::from_secs(30 * 60),
            Self::Fill => Duration::from_secs(4 * 3600),
            Self::Write => Duration::from_secs(60),
            Self::LongWrite => Duration::from_secs(6 * 60),
        }
    }
}

/// A transaction. When it is dropped before [`Transaction::finish`], its connection is closed, and the server takes everything back.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    is_open: bool,
    server: Arc<Server>,
}

impl Transaction {
    pub(super) async fn begin(pool: &PgPool, server: &Arc<Server>, purpose: Purpose) -> Result<Self, StoreError> {
        let failed = |error| translate(server, error);
        let connection = pool.acquire().await.map_err(failed)?;
        let mut transaction = Self { connection, is_open: true, server: Arc::clone(server) };
        transaction.execute(purpose.begin()).await.map_err(failed)?;
        Ok(transaction)
    }

    /// Commits after a success and gives the connection back; after a failure closes the connection, so that the next transaction starts
    /// on a fresh one.
    pub(super) async fn finish<T>(mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let committed = match result {
            Ok(value) => self.execute("COMMIT").await.map(|_| value),
            Err(error) => Err(error),
        };
        self.is_open = committed.is_err();
        committed.map_err(|error| translate(&self.server, error))
    }

    /// A statement, which the server keeps prepared where the settings allow it.
    pub(super) fn query<'q>(&self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(sql).persistent(self.server.keeps_statements)
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.close_on_drop();
        }
    }
}
