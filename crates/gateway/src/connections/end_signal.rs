//! Waits until a connection is to be ended before it has ended by itself.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
};

use super::Connection;
use crate::Refusal;

/// Tells when a connection is to be ended. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EndSignal(Option<Arc<Connection>>);

impl EndSignal {
    /// The signal of a connection; without one it never comes.
    pub(crate) const fn new(connection: Option<Arc<Connection>>) -> Self {
        Self(connection)
    }

    /// Waits until the connection is to be ended, and says why.
    pub(crate) async fn wait(&self) -> Refusal {
        let Some(connection) = &self.0 else { return pending().await };
        let mut cancelled = pin!(connection.end().cancelled());
        poll_fn(|cx| {
            // Another connection of the user may have used up the quota since this one moved anything.
            connection.end_when_exhausted();
            cancelled.as_mut().poll(cx)
        })
        .await;
        connection.end_reason().unwrap_or(Refusal::Ended)
    }
}
