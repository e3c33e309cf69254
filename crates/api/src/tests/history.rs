//! History, probes and readiness, as a client sees them.

use async_trait::async_trait;

use super::fake::{Fake, node};
use crate::*;

#[async_trait]
impl HistoryPort for Fake {
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryDto, ApiError> {
        let step = query.step.unwrap_or(60);
        let point = HistoryPointDto {
            at: 60_000,
            nodes: Some(StateCounts { healthy: 3, ..StateCounts::default() }),
            requests: Some([("ok".to_owned(), 7)].into()),
            bytes: Some(HistoryBytesDto { up: 1, down: 2 }),
            latency: None,
        };
        Ok(HistoryDto { from: 0, to: 120_000, step, points: vec![point] })
    }

    fn node_probes(&self, id: &str) -> Result<Option<NodeProbesDto>, ApiError> {
        let works =
            NodeProbeDto { at: 2000, works: true, latency_ms: Some(12), stage: None, error: None, counted: true };
        let failed = NodeProbeDto {
            at: 1000,
            works: false,
            latency_ms: None,
            stage: Some("connect".into()),
            error: Some("refused".into()),
            counted: false,
        };
        Ok((id == node().id).then(|| NodeProbesDto { id: node().id, probes: vec![works, failed] }))
    }
}
