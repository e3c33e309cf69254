//! The metrics of the cores.

use std::{fmt, sync::Arc};

use hezar_sidecar::CoreStatus;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::Cores;

/// Registers what is known of the cores that are there.
pub(crate) fn register(registry: &mut Registry, cores: Arc<Cores>) {
    registry.register_collector(Box::new(CoresCollector(cores)));
}

struct CoresCollector(Arc<Cores>);

impl fmt::Debug for CoresCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoresCollector").finish_non_exhaustive()
    }
}

type Gauge = (&'static str, &'static str, fn(&CoreStatus) -> f64);
type Counter = (&'static str, &'static str, fn(&CoreStatus) -> u64);

const GAUGES: [Gauge; 5] = [
    ("hezar_core_up", "1 while the core serves; one that no node needs is not started", |core| {
        f64::from(u8::from(core.is_up))
    }),
    ("hezar_core_resident_memory_bytes", "Memory of the core that is in RAM", |core| core.resident_bytes as f64),
    ("hezar_core_nodes", "Nodes that the core has now", |core| core.nodes as f64),
    ("hezar_core_nodes_in_use", "Nodes of the core that are dialled or carry something now", |core| {
        core.nodes_in_use as f64
    }),
    ("hezar_core_last_reload_seconds", "How long the core took for its last change of nodes", |core| {
        core.last_reload_seconds
    }),
];
const COUNTERS: [Counter; 3] = [
    ("hezar_core_starts", "How often the core was started", |core| core.starts),
    ("hezar_core_reloads", "Changes of nodes that the core has taken", |core| core.reloads),
    ("hezar_core_refused_nodes", "Nodes that the core has refused", |core| core.refusals),
];

impl Collector for CoresCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let cores = self.0.sidecar.status();
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for core in &cores {
                ConstGauge::new(value(core)).encode(family.encode_family(&[("core", core.name.as_str())])?)?;
            }
        }
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for core in &cores {
                ConstCounter::new(value(core)).encode(family.encode_family(&[("core", core.name.as_str())])?)?;
            }
        }
        Ok(())
    }
}
