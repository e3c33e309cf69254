//! What goes on now: state, metrics, and what a request could use.

use crate::{ApiError, ExplainDto, ExplainQuery, HealthDto, StatusDto};

/// What goes on now: state, metrics, and what a request could use.
pub trait LivePort: Send + Sync + 'static {
    /// Whether nodes carry traffic, in a time that does not depend on how many there are.
    fn health(&self) -> HealthDto;

    /// The state of the whole instance.
    fn status(&self) -> StatusDto;

    /// All metrics in the Prometheus (OpenMetrics) text form.
    fn metrics(&self) -> String;

    /// Explains which nodes a request could use.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value is malformed.
    fn explain(&self, query: &ExplainQuery) -> Result<ExplainDto, ApiError>;
}
