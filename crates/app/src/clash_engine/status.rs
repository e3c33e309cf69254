//! What the API says of the cores.

use std::{net::SocketAddr, sync::atomic::Ordering};

use hezar_api::{EngineCoreDto, EngineDto};
use hezar_sidecar::CoreState;

use super::ClashEngine;
use crate::config::EngineKind;

impl ClashEngine {
    /// The state of both cores, and what the GATEWAY core serves.
    pub(crate) fn status(&self) -> EngineDto {
        let served = *self.gateway.served.lock();
        let (probes, serves) = self.roles;
        let probe = probes.then(|| self.probe_status());
        let gateway = serves.then(|| self.gateway_status());
        EngineDto {
            name: EngineKind::Clash.name().to_owned(),
            strategy: self.settings.strategy.name().to_owned(),
            members: self.gateway.members.load(Ordering::Relaxed),
            connections: served.connections,
            up: served.up,
            down: served.down,
            cores: probe.into_iter().chain(gateway).collect(),
        }
    }

    /// Why the GATEWAY core serves nobody now; `None` while it serves.
    pub(crate) fn not_serving(&self) -> Option<String> {
        match self.gateway.state() {
            CoreState::Up { .. } => None,
            CoreState::Starting => Some("the GATEWAY core starts".to_owned()),
            CoreState::Down { reason } => Some(format!("the GATEWAY core is down: {reason}")),
        }
    }

    fn probe_status(&self) -> EngineCoreDto {
        let refused = self.probe.refused.load(Ordering::Relaxed);
        let (starts, memory) = (self.probe.starts(), self.probe.resident_bytes());
        let core = core("probe", starts, memory, refused, self.settings.expose_controller);
        match (self.probe.state(), &self.settings.probe_controller) {
            (Some(state), _) => with_state(core, state),
            (None, url) => EngineCoreDto {
                state: if self.probe.batches.is_core_there() { "elsewhere" } else { "unreachable" }.to_owned(),
                controller: url.as_ref().map(ToString::to_string),
                ..core
            },
        }
    }

    fn gateway_status(&self) -> EngineCoreDto {
        let gateway = &self.gateway;
        let refused = gateway.refused.load(Ordering::Relaxed);
        let exposed = self.settings.expose_gateway_controller;
        with_state(core("gateway", gateway.starts(), gateway.resident_bytes(), refused, exposed), gateway.state())
    }
}

fn core(name: &str, starts: u64, memory: u64, refused: u64, exposed: Option<SocketAddr>) -> EngineCoreDto {
    let controller = exposed.map(|address| format!("http://{address}/"));
    EngineCoreDto { name: name.to_owned(), starts, memory, refused, controller, ..EngineCoreDto::default() }
}

fn with_state(core: EngineCoreDto, state: CoreState) -> EngineCoreDto {
    let (state, reason) = match state {
        CoreState::Starting => ("starting", None),
        CoreState::Up { .. } => ("up", None),
        CoreState::Down { reason } => ("down", Some(reason.to_string())),
    };
    EngineCoreDto { state: state.to_owned(), reason, ..core }
}
