//! Metrics that are read from the pool and the runtime when somebody asks for them.

use std::sync::Arc;

use hezar_api::SourceDto;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use tokio::runtime::Handle;

use crate::{nodes::Nodes, sources::status::SourceTable};

/// Counts of the pool, read from its snapshot when the metrics are asked for.
pub(crate) fn register_pool(registry: &mut Registry, pool: Arc<Nodes>, table: SourceTable) {
    registry.register_collector(Box::new(PoolCollector { pool, table }));
}

/// Tasks of the program that have not ended: what a leak would show in.
pub(crate) fn register_tasks(registry: &mut Registry) {
    registry.register_collector(Box::new(TaskCollector(Handle::current())));
}

#[derive(Debug)]
struct TaskCollector(Handle);

impl Collector for TaskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let tasks = i64::try_from(self.0.metrics().num_alive_tasks()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(tasks);
        let help = "Tasks that have not ended";
        gauge.encode(encoder.encode_descriptor("hezar_tasks", help, None, gauge.metric_type())?)
    }
}

struct PoolCollector {
    pool: Arc<Nodes>,
    table: SourceTable,
}

impl std::fmt::Debug for PoolCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolCollector").finish_non_exhaustive()
    }
}

impl Collector for PoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.pool.snapshot();
        let counts = snapshot.counts();
        let mut family = encoder.encode_descriptor(
            "hezar_pool_nodes",
            "Nodes per state; unsupported, quarantined and disabled ones count in no other state",
            None,
            MetricType::Gauge,
        )?;
        for (state, number) in [
            ("new", counts.new),
            ("healthy", counts.healthy),
            ("suspect", counts.suspect),
            ("dead", counts.dead),
            ("unsupported", counts.unsupported),
            ("quarantined", counts.quarantined),
            ("disabled", counts.disabled),
        ] {
            ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("state", state)])?)?;
        }
        let exits = ConstGauge::new(i64::try_from(snapshot.exits()).unwrap_or(i64::MAX));
        let help = "Different exits behind the nodes that carry traffic";
        exits.encode(encoder.encode_descriptor("hezar_pool_exits", help, None, MetricType::Gauge)?)?;
        let mut family = encoder.encode_descriptor(
            "hezar_source_nodes",
            "Nodes that each source lists now",
            None,
            MetricType::Gauge,
        )?;
        for (source, _, number) in self.pool.sources() {
            ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("source", &*source)])?)?;
        }
        let sources = self.table.sources(&self.table.census(&snapshot), &self.pool.left_out());
        let whole = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        type Reading = fn(&SourceDto) -> Option<u64>;
        let families: [(&str, &str, Reading); 4] = [
            ("hezar_source_exits", "Different live exits that each source gives", |s| Some(s.exits as u64)),
            ("hezar_source_unique_exits", "Live exits that no other source gives", |s| Some(s.unique_exits as u64)),
            ("hezar_source_half_life_seconds", "Time after which half of its nodes have died", |s| s.half_life_s),
            ("hezar_source_quarantined", "1 while a source is fetched rarely, as nothing in it works", |s| {
                Some(u64::from(s.quarantined))
            }),
        ];
        for (name, help, reading) in families {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for source in &sources {
                if let Some(number) = reading(source) {
                    whole(number).encode(family.encode_family(&[("source", source.name.as_str())])?)?;
                }
            }
        }
        Ok(())
    }
}
