//! Cores as the API shows them.

use hezar_api::{CoreDto, CoresDto, CoresPort, MissingCoreDto, RefusedNodeDto};
use hezar_sidecar::CoreStatus;

use super::ApiBackend;
use crate::cores::advice;

/// The most refused nodes of one answer.
const MOST_REFUSED: usize = 1000;

impl CoresPort for ApiBackend {
    fn cores(&self) -> CoresDto {
        let sidecar = &self.cores.sidecar;
        let missing = self.cores.missing().into_iter().map(|(core, nodes)| MissingCoreDto {
            name: core.as_str().to_owned(),
            nodes,
            advice: advice(core).to_owned(),
        });
        let refused = sidecar.refused().into_iter().take(MOST_REFUSED).map(|(core, node, reason)| RefusedNodeDto {
            core: core.as_str().to_owned(),
            node: node.to_string(),
            reason,
        });
        CoresDto {
            cores: sidecar.status().into_iter().map(dto).collect(),
            missing: missing.collect(),
            refused: refused.collect(),
        }
    }
}

fn dto(core: CoreStatus) -> CoreDto {
    let state = match (core.is_up, core.is_idle) {
        (true, _) => "up",
        (false, true) => "idle",
        (false, false) => "down",
    };
    CoreDto {
        name: core.name.as_str().to_owned(),
        program: core.program.display().to_string(),
        version: core.version,
        state: state.to_owned(),
        trouble: core.trouble.filter(|_| state == "down"),
        starts: core.starts,
        memory_bytes: core.resident_bytes,
        nodes: core.nodes,
        nodes_in_use: core.nodes_in_use,
        most_nodes: core.most_nodes,
        reloads: core.reloads,
        // Float to integer casts saturate.
        last_reload_ms: (core.last_reload_seconds * 1000.0) as u64,
        refused: core.refusals,
    }
}
