//! What goes on now: state, metrics, and what a request could use.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    ApiError, CodeDto, ConnectionsEnded, ConnectionsFilter, ConnectionsPage, ConnectionsQuery, DrainReport, EventHub,
    ExplainDto, ExplainQuery, HealthDto, InstanceDto, JobTable, LogPage, LogQuery, ReadyDto, StatusDto, TestReport,
    TestRequest, TrafficDto, VersionDto,
};
/// What goes on now: state, metrics, and what a request could use.
#[async_trait]
pub trait LivePort: Send + Sync + 'static {
    /// Whether nodes carry traffic, in a time that does not depend on how many there are.
    fn health(&self) -> HealthDto;

    /// Whether requests can be served, in a time that does not depend on how many nodes there are.
    fn ready(&self) -> ReadyDto;

    /// The state of the whole instance.
    fn status(&self) -> StatusDto;

    /// All metrics in the Prometheus (OpenMetrics) text form.
    fn metrics(&self) -> String;

    /// The metrics of the nodes that are used most, in the same form.
    fn node_metrics(&self) -> String;

    /// Sends one request through a listener of the instance, as a client would.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the URL is malformed, [`ApiError::NotFound`] when there is no such listener,
    /// [`ApiError::Busy`] when as many tests as may be are under way.
    async fn test(&self, request: &TestRequest) -> Result<TestReport, ApiError>;

    /// Explains which nodes a request could use.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed.
    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError>;

    /// What has passed through since the start, in a time that does not depend on how much there is.
    fn traffic(&self) -> TrafficDto;

    /// The connections that are alive and fit.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is malformed.
    fn connections(&self, query: &ConnectionsQuery) -> Result<ConnectionsPage, ApiError>;

    /// Ends a connection; false when there is none with this number.
    fn end_connection(&self, id: u64) -> bool;

    /// Ends the connections that fit.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a filter's value is malformed.
    fn end_connections(&self, filter: &ConnectionsFilter) -> Result<ConnectionsEnded, ApiError>;

    /// Lines of the log.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the level is not known.
    fn log(&self, query: &LogQuery) -> Result<LogPage, ApiError>;

    /// The number of the last line of the log, as it changes.
    fn log_changes(&self) -> watch::Receiver<u64>;

    /// Where events come from.
    fn events(&self) -> &EventHub;

    /// Work that goes on.
    fn jobs(&self) -> &JobTable;

    /// Every stable code.
    fn codes(&self) -> Vec<CodeDto>;

    /// Which version this is.
    fn version(&self) -> VersionDto;

    /// The processes of this installation.
    fn instances(&self) -> Vec<InstanceDto>;

    /// Takes an instance out of use, or into use again.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] when there is none of this name, [`ApiError::NotStored`] when the others cannot be told.
    async fn drain(&self, name: &str, draining: bool) -> Result<DrainReport, ApiError>;
}
