//! The one door from the API to the running instance.

use async_trait::async_trait;

use hyper::body::Bytes;

use crate::{
    AddQuery, AddReport, ApiError, BanDto, EndReport, ExplainDto, ExplainQuery, FeedbackReport, FeedbackRequest,
    FetchReport, FetchRequest, HealthDto, LiftReport, NodeDto, NodesPage, NodesQuery, ProbeReport, ProbeRequest,
    RemoveReport, RemoveRequest, Saved, SessionDto, SessionsQuery, StatusDto,
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

    /// Adds the links in `text` (any form and encoding that the parser reads), and waits a moment until they are in the store.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the instance shuts down, [`ApiError::StoreOverflow`], [`ApiError::StoreRefused`].
    async fn add(&self, text: Bytes, query: &AddQuery) -> Result<Saved<AddReport>, ApiError>;

    /// Probes nodes now, and waits for the results as long as the request says.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is not known, [`ApiError::Busy`] when too much is asked for.
    async fn probe(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError>;

    /// Reads sources now, and waits for the results as long as the request says.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when there is no such source, [`ApiError::Busy`] when too much is asked for.
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, ApiError>;

    /// Removes nodes by id, bans them if that is asked, and waits a moment until that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an id is malformed or names several nodes, or there are too many bans, and those of [`Control::add`].
    async fn remove(&self, request: &RemoveRequest) -> Result<Saved<RemoveReport>, ApiError>;

    /// Every ban, in the order of the ids.
    fn bans(&self) -> Vec<BanDto>;

    /// Lifts bans, and waits a moment until that is in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when an id is malformed or names several nodes, and those of [`Control::add`].
    async fn lift(&self, ids: &[String]) -> Result<Saved<LiftReport>, ApiError>;

    /// The sessions that run and fit, those that end first in front.
    fn sessions(&self, query: &SessionsQuery) -> Vec<SessionDto>;

    /// Gives a session another exit and its full time; `None` when there is no such session.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, [`ApiError::NoExit`] when no node fits it, and those
    /// of [`Control::add`].
    async fn rotate(&self, id: &str) -> Result<Option<Saved<SessionDto>>, ApiError>;

    /// Ends a session; `None` when there is no such session.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed, and those of [`Control::add`].
    async fn end_session(&self, id: &str) -> Result<Option<Saved<EndReport>>, ApiError>;

    /// Notes what a client saw. That is kept in memory for some hours and not in the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed, [`ApiError::NotFound`] when there is no such node or session.
    fn feedback(&self, request: &FeedbackRequest) -> Result<FeedbackReport, ApiError>;

    /// Explains which nodes a request could use.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed.
    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError>;

    /// Whether nodes carry traffic, in a time that does not depend on how many there are.
    fn health(&self) -> HealthDto;

    /// The state of the whole instance.
    fn status(&self) -> StatusDto;

    /// All metrics in the Prometheus (OpenMetrics) text form.
    fn metrics(&self) -> String;
}
