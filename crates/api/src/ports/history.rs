//! What was counted over time.

use async_trait::async_trait;

use crate::{ApiError, HistoryDto, HistoryQuery, NodeProbesDto};

/// What was counted over time, of the instance and of single nodes.
#[async_trait]
pub trait HistoryPort: Send + Sync + 'static {
    /// The counters of the instance over time, from the store.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a value makes no sense or asks for too many points, [`ApiError::Unavailable`] when the store
    /// cannot be read.
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryDto, ApiError>;

    /// The last probes of a node; `None` when there is no such node.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the id is malformed.
    fn node_probes(&self, id: &str) -> Result<Option<NodeProbesDto>, ApiError>;
}
