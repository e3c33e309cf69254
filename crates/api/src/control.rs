//! The one door from the API to the running instance.

use async_trait::async_trait;

use crate::{AddReport, ApiError, NodeDto, NodesPage, NodesQuery, RemoveReport, RemoveRequest, StatusDto};

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

    /// The state of the whole instance.
    fn status(&self) -> StatusDto;

    /// All metrics in the Prometheus (OpenMetrics) text form.
    fn metrics(&self) -> String;
}
