//! The connection on which PostgreSQL tells that something has changed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Executor,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use tokio::time::timeout;

use super::{LONGEST_CONNECT, Server, error::translate};
use crate::{ChangeListener, StoreError, Wake};

/// Where triggers tell of changes, and instances of nodes that they suspect.
const CHANGES: &str = "hezar_changes";
const SUSPECTS: &str = "hezar_suspects";
/// Ids in one notification, whose payload is shorter than 8000 bytes (PostgreSQL 15, NOTIFY).
pub(super) const MOST_IDS: usize = 200;
/// After so much silence the server is asked whether it is still there: a connection that was cut somewhere between stays silent.
const SILENCE: Duration = Duration::from_secs(20);

/// Hears of changes on a connection of its own, outside the store's pool.
#[derive(Debug)]
pub(super) struct PostgresListener {
    listener: PgListener,
    server: Arc<Server>,
}

impl PostgresListener {
    pub(super) async fn connect(server: &Arc<Server>) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(LONGEST_CONNECT);
        let pool = pool.connect_lazy_with(server.listening.clone());
        let connect = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen_all([CHANGES, SUSPECTS]).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = timeout(LONGEST_CONNECT, connect).await.map_err(|_| late(server))?;
        let listener = listener.map_err(|error| translate(server, error))?;
        Ok(Self { listener, server: Arc::clone(server) })
    }

    async fn check(&mut self) -> Result<(), StoreError> {
        let answered = timeout(LONGEST_CONNECT, (&mut self.listener).execute("SELECT 1")).await;
        let answered = answered.map_err(|_| late(&self.server))?;
        answered.map(drop).map_err(|error| translate(&self.server, error))
    }
}

#[async_trait]
impl ChangeListener for PostgresListener {
    async fn next(&mut self) -> Result<Wake, StoreError> {
        loop {
            match timeout(SILENCE, self.listener.try_recv()).await {
                Ok(Ok(Some(notification))) => return Ok(wake(&notification)),
                Ok(Ok(None)) => return Ok(Wake::Changed),
                Ok(Err(error)) => return Err(translate(&self.server, error)),
                Err(_) => self.check().await?,
            }
        }
    }
}

fn late(server: &Server) -> StoreError {
    StoreError::Unreachable { server: server.name.clone(), detail: "no answer in time".into() }
}

fn wake(notification: &PgNotification) -> Wake {
    if notification.channel() != SUSPECTS {
        return Wake::Changed;
    }
    Wake::Suspected(notification.payload().split_whitespace().take(MOST_IDS).filter_map(|id| id.parse().ok()).collect())
}
