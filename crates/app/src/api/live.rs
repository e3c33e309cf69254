//! What goes on now: traffic counters and the last errors.

use hezar_api::{TrafficDto, TroubleDto};
use hezar_gateway::Traffic;

use super::ApiBackend;

impl ApiBackend {
    pub(crate) fn traffic_so_far(&self) -> TrafficDto {
        let Traffic { ok, failed, refused, up, down, tunnels, connections } = self.metrics.traffic();
        TrafficDto { ok, failed, refused, up, down, tunnels, connections }
    }

    pub(crate) fn troubles(&self) -> Vec<TroubleDto> {
        let troubles = self.metrics.recent_errors().into_iter().map(|trouble| TroubleDto {
            at: trouble.at.0,
            inbound: trouble.inbound.to_owned(),
            user: trouble.user.into(),
            target: trouble.target.map(|target| target.to_string()),
            node: trouble.node.map(|node| node.to_string()),
            code: trouble.code.to_owned(),
        });
        troubles.collect()
    }
}
