//! The metrics of the pool and of the sources.

use std::{fmt, sync::Arc};

use hezar_api::SourceDto;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::{gauge, whole};
use crate::{nodes::Nodes, sources::status::SourceTable};

/// Counts of the pool, read from its snapshot when the metrics are asked for.
pub(crate) fn register_pool(registry: &mut Registry, pool: Arc<Nodes>, table: SourceTable) {
    registry.register_collector(Box::new(PoolCollector { pool, table }));
}

struct PoolCollector {
    pool: Arc<Nodes>,
    table: SourceTable,
}

impl fmt::Debug for PoolCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolCollector").finish_non_exhaustive()
    }
}

impl Collector for PoolCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
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
            whole(number).encode(family.encode_family(&[("state", state)])?)?;
        }
        let about = ("hezar_pool_exits", "Different exits behind the nodes that carry traffic");
        gauge(&mut encoder, about, &whole(snapshot.exits()))?;
        let mut family = encoder.encode_descriptor(
            "hezar_source_nodes",
            "Nodes that each source lists now",
            None,
            MetricType::Gauge,
        )?;
        for (source, _, number) in self.pool.sources() {
            whole(number).encode(family.encode_family(&[("source", &*source)])?)?;
        }
        let sources = self.table.sources(&self.table.census(&snapshot), &self.pool.left_out());
        encode_sources(&mut encoder, &sources)
    }
}

/// What one family says of a source; `None`: nothing.
type Reading = fn(&SourceDto) -> Option<f64>;

/// The gauges of a source, each with the label `source`.
const SOURCE_GAUGES: [(&str, &str, Reading); 8] = [
    ("hezar_source_healthy", "Nodes of each source that carry traffic", |s| Some(s.healthy as f64)),
    ("hezar_source_exits", "Different live exits that each source gives", |s| Some(s.exits as f64)),
    ("hezar_source_unique_exits", "Live exits that no other source gives", |s| Some(s.unique_exits as f64)),
    ("hezar_source_rejected", "Lines of the last list that are no node", |s| Some(s.rejected as f64)),
    ("hezar_source_half_life_seconds", "Time after which half of its nodes have died", |s| {
        s.half_life_s.map(|seconds| seconds as f64)
    }),
    ("hezar_source_quarantined", "1 while a source is fetched rarely, as nothing in it works", |s| {
        Some(f64::from(u8::from(s.quarantined)))
    }),
    ("hezar_source_failed", "1 while the last fetch of a source has failed", |s| {
        Some(f64::from(u8::from(s.error.is_some())))
    }),
    ("hezar_source_last_success_timestamp_seconds", "When a source was last read, in Unix time", |s| {
        s.last_ok.map(|milliseconds| milliseconds as f64 / 1000.0)
    }),
];

fn encode_sources(encoder: &mut DescriptorEncoder<'_>, sources: &[SourceDto]) -> Result<(), fmt::Error> {
    for (name, help, reading) in SOURCE_GAUGES {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for source in sources {
            if let Some(number) = reading(source) {
                ConstGauge::new(number).encode(family.encode_family(&[("source", source.name.as_str())])?)?;
            }
        }
    }
    Ok(())
}
