//! Sessions that several gateways have in common, so that a client may come to any of them.

use std::fmt::Debug;

use async_trait::async_trait;
use hezar_pool::Pinned;

use super::Session;

/// A table of sessions that several gateways share. Of two that begin the same session at once, the one that enters it first wins.
#[async_trait]
pub trait SharedSessions: Debug + Send + Sync {
    /// Enters a session that begins here with what it is pinned to. Returns what the table holds then: this session, or the one with its
    /// names that another gateway has begun; `None` when the table cannot be asked, and the session is this gateway's alone.
    async fn enter(&self, session: &Session, pinned: Pinned) -> Option<SharedSession>;
}

/// A session as the shared table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSession {
    /// The session.
    pub session: Session,
    /// What it is pinned to, as far as the table knows.
    pub pinned: Option<Pinned>,
}
