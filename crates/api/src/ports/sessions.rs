//! Sessions, and what clients tell about sites.

use async_trait::async_trait;

use crate::{
    ApiError, EndReport, FeedbackReport, FeedbackRequest, ProxyDto, ProxyQuery, Saved, SessionDto, SessionsQuery,
};

/// Sessions, and what clients tell about sites.
#[async_trait]
pub trait SessionsPort: Send + Sync + 'static {
    /// The sessions that run and fit, those that end first in front.
    fn sessions(&self, query: &SessionsQuery) -> Vec<SessionDto>;

    /// Gives a session another exit and its full time; `None` when there is no such session.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, [`ApiError::NoExit`] when no node fits it, and those
    /// of [`NodesPort::add`](super::NodesPort::add).
    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError>;

    /// Ends a session; `None` when there is no such session.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, and those of [`NodesPort::add`](super::NodesPort::add).
    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError>;

    /// Notes what a client saw. That is kept in memory for some hours and not in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such node or session.
    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError>;

    /// A proxy address with these options, for a client that reaches this machine as `host`.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an option is malformed, or a user is needed and none is named.
    fn proxy_address(&self, query: &ProxyQuery, host: &str) -> Result<ProxyDto, ApiError>;
}
