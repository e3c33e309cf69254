//! The metrics of the cores that serve.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::ClashEngine;

/// Registers what the cores tell.
pub(crate) fn register(registry: &mut Registry, clash: Arc<ClashEngine>) {
    registry.register_collector(Box::new(ClashCollector(clash)));
}

struct ClashCollector(Arc<ClashEngine>);

impl fmt::Debug for ClashCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClashCollector").finish_non_exhaustive()
    }
}

impl Collector for ClashCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (status, clash) = (self.0.status(), &self.0);
        let help = "1 while the Clash core serves";
        let mut family = encoder.encode_descriptor("hezar_clash_core_up", help, None, MetricType::Gauge)?;
        for core in &status.cores {
            let labels = [("core", core.name.as_str())];
            ConstGauge::new(i64::from(["up", "elsewhere"].contains(&&*core.state)))
                .encode(family.encode_family(&labels)?)?;
        }
        let help = "Memory of the Clash core in RAM";
        let mut family =
            encoder.encode_descriptor("hezar_clash_core_resident_memory_bytes", help, None, MetricType::Gauge)?;
        for core in &status.cores {
            let labels = [("core", core.name.as_str())];
            ConstGauge::new(core.memory as f64).encode(family.encode_family(&labels)?)?;
        }
        let starts = status.cores.iter().map(|core| (core.name.as_str(), core.starts));
        counters(&mut encoder, ("hezar_clash_core_starts", "Starts of the Clash core"), "core", starts)?;
        let refused = status.cores.iter().map(|core| (core.name.as_str(), core.refused));
        counters(&mut encoder, ("hezar_clash_refused_nodes", "Nodes that the Clash core refused"), "core", refused)?;
        let bytes = [("up", status.up), ("down", status.down)];
        counters(&mut encoder, ("hezar_clash_bytes", "Bytes that the GATEWAY core has moved"), "direction", bytes)?;
        for (name, help, value) in [
            ("hezar_clash_members", "Nodes in the GATEWAY core's group of the first listener", status.members),
            ("hezar_clash_connections", "Connections open in the GATEWAY core", status.connections),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        for (name, help, value) in [
            ("hezar_clash_updates", "Changes of the members that the GATEWAY core has taken", &clash.gateway.updates),
            ("hezar_clash_checks", "Checks that the PROBE core was asked for", &clash.probe.checks),
        ] {
            let counter = ConstCounter::new(value.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

/// Writes a counter with one label.
fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, number) in values {
        ConstCounter::new(number).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}
