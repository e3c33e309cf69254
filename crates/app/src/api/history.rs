//! What was counted over time, and the last probes of a node.

use async_trait::async_trait;
use hezar_api::{ApiError, HistoryDto, HistoryPort, HistoryQuery, NodeProbeDto, NodeProbesDto};
use hezar_probe::{LoggedProbe, ProbeResult};

use super::{ApiBackend, on_demand::probed};
use crate::history::read;

#[async_trait]
impl HistoryPort for ApiBackend {
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryDto, ApiError> {
        read::history(&*self.store, query, self.clock.now()).await
    }

    fn node_probes(&self, id: &str) -> Result<Option<NodeProbesDto>, ApiError> {
        let Some(id) = self.find(id)?.filter(|id| self.pool.node(*id).is_some()) else { return Ok(None) };
        let probes = self.prober.log().of_node(id).iter().map(dto).collect();
        Ok(Some(NodeProbesDto { id: id.to_string(), probes }))
    }
}

fn dto(probe: &LoggedProbe) -> NodeProbeDto {
    let (latency_ms, stage, error) = probed(&probe.result);
    NodeProbeDto {
        at: probe.at.0,
        works: matches!(probe.result, ProbeResult::Works(_)),
        latency_ms,
        stage,
        error,
        counted: match probe.result {
            ProbeResult::Failed { counted, .. } => counted,
            ProbeResult::Works(_) | ProbeResult::Tampered(_) => true,
            ProbeResult::Inconclusive(_) | ProbeResult::Panicked | ProbeResult::Unsupported(_) | ProbeResult::Gone => {
                false
            }
        },
    }
}
