//! What several instances share, in a database of PostgreSQL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use hezar_core::{NodeId, Timestamp};

use super::{Postgres, changes, listener::PostgresListener, members, sessions, transaction::Purpose};
use crate::{
    ChangeListener, ChangePosition, ChangesSince, Claimed, MemberBeat, Members, SessionRow, SharedStore, SourceRow,
    StoreError, StoreIdentity,
};

#[async_trait]
impl SharedStore for Postgres {
    fn identify(&self, identity: StoreIdentity) {
        *self.identity.write() = identity;
    }

    async fn beat(&self, beat: &MemberBeat, takes_over: bool) -> Result<Members, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::beat(&mut transaction, beat, takes_over).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn hand_over_member(&self, name: &str, incarnation: i64) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::hand_over(&mut transaction, name, incarnation).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn leave(&self, name: &str, incarnation: i64) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::leave(&mut transaction, name, incarnation).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn set_draining(&self, name: &str, draining: bool) -> Result<bool, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::set_draining(&mut transaction, name, draining).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn claim_source(&self, source: &str, holder: &str, lease: Duration) -> Result<Claimed, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::claim_source(&mut transaction, source, holder, lease).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn release_source(&self, source: &str, holder: &str) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::release_source(&mut transaction, source, holder).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn request_fetch(&self, sources: &[Arc<str>]) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = members::request_fetch(&mut transaction, sources).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn source(&self, name: &str) -> Result<Option<SourceRow>, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let done = members::source(&mut transaction, name).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Read, work).await
    }

    async fn clock(&self) -> Result<Timestamp, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let done = changes::clock(&mut transaction).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Read, work).await
    }

    async fn position(&self) -> Result<ChangePosition, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Read).await?;
            let done = changes::position(&mut transaction).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Read, work).await
    }

    async fn changes_since(&self, since: &ChangePosition) -> Result<ChangesSince, StoreError> {
        let region = self.identity().region;
        let work = async {
            let mut transaction = self.begin(Purpose::Follow).await?;
            let done = changes::since(&mut transaction, &region, since).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Follow, work).await
    }

    async fn listen(&self) -> Result<Box<dyn ChangeListener>, StoreError> {
        Ok(Box::new(PostgresListener::connect(&self.server).await?))
    }

    async fn suspect(&self, nodes: &[NodeId]) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = changes::suspect(&mut transaction, nodes).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn clear_removals(&self) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = changes::clear(&mut transaction).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }

    async fn enter_session(&self, session: &SessionRow) -> Result<SessionRow, StoreError> {
        let work = async {
            let mut transaction = self.begin(Purpose::Write).await?;
            let done = sessions::enter(&mut transaction, session).await;
            transaction.finish(done).await
        };
        self.limited(Purpose::Write, work).await
    }
}
