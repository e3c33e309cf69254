//! The metrics of the instance: its build, what it has open, and the disk on which its data lies.

use std::{fmt, path::PathBuf, sync::Arc};

use hezar_gateway::{Connections, Sessions};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

use super::{gauge, whole};
use crate::version::{COMMIT, VERSION};

/// The build, the exits in use and the sessions.
pub(crate) fn register_instance(registry: &mut Registry, connections: Arc<Connections>, sessions: Arc<Sessions>) {
    registry.register_collector(Box::new(InstanceCollector { connections, sessions }));
}

struct InstanceCollector {
    connections: Arc<Connections>,
    sessions: Arc<Sessions>,
}

impl fmt::Debug for InstanceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceCollector").finish_non_exhaustive()
    }
}

impl Collector for InstanceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1; the labels say which version runs";
        let mut build = encoder.encode_descriptor("hezar_build_info", help, None, MetricType::Gauge)?;
        let labels = [("version", VERSION), ("commit", COMMIT.unwrap_or("unknown"))];
        ConstGauge::new(1_i64).encode(build.encode_family(&labels)?)?;
        let about = ("hezar_exits_in_use", "Different exits of the connections that are alive");
        gauge(&mut encoder, about, &whole(self.connections.exits_in_use()))?;
        let about = ("hezar_sessions", "Sessions that are remembered");
        gauge(&mut encoder, about, &whole(self.sessions.len()))
    }
}

/// The size and the free space of the file system on which the data folder lies. On other systems than Unix there are none.
pub(crate) fn register_data_folder(registry: &mut Registry, folder: PathBuf) {
    if cfg!(unix) {
        registry.register_collector(Box::new(DiskCollector(folder)));
    }
}

#[derive(Debug)]
struct DiskCollector(PathBuf);

impl Collector for DiskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(disk) = crate::disk::space_at(&self.0) else { return Ok(()) };
        let about = ("hezar_data_free_bytes", "Free space where the data folder lies, for this user");
        gauge(&mut encoder, about, &ConstGauge::new(disk.free as f64))?;
        let about = ("hezar_data_size_bytes", "Size of the file system where the data folder lies");
        gauge(&mut encoder, about, &ConstGauge::new(disk.size as f64))
    }
}
