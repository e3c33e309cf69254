//! The one door from the API to the running instance.

use async_trait::async_trait;

use crate::{
    AddReport, ApiError, ExplainDto, ExplainQuery, FeedbackReport, FeedbackRequest, NodeDto, NodesPage, NodesQuery,
    RemoveReport, RemoveRequest, SessionDto, StatusDto,
};

/// What the API can ask of a running instance; the application implements it.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// One page of nodes.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is not known.
    fn nodes(&self, query: &NodesQuery) -> Result<NodesPage, ApiError>;

    /// One node.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed.
    fn node(&self, id: &str) -> Result<Option<NodeDto>, ApiError>;

    /// Adds the links in `text` (any form that the parser reads).
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the instance shuts down.
    async fn add(&self, text: &str) -> Result<AddReport, ApiError>;

    /// Removes nodes by id.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an id is malformed.
    async fn remove(&self, request: &RemoveRequest) -> Result<RemoveReport, ApiError>;

    /// The sessions that run, those that end first in front.
    fn sessions(&self) -> Vec<SessionDto>;

    /// Gives a session another exit and its full time; `None` when there is no such session.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, [`ApiError::NoExit`] when no node fits it.
    fn rotate(&self, id: &str) -> Result<Option<SessionDto>, ApiError>;

    /// Ends a session; says whether it ran.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed.
    fn end_session(&self, id: &str) -> Result<bool, ApiError>;

    /// Notes what a client saw.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such node or session.
    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError>;

    /// Explains which nodes a request could use.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed.
    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError>;

    /// The state of the whole instance.
    fn status(&self) -> StatusDto;

    /// All metrics in the Prometheus (OpenMetrics) text form.
    fn metrics(&self) -> String;
}
