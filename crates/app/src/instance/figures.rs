//! How the instance is, as it tells the others with each beat.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_gateway::Connections;
use hezar_store::{MemberFigures, Writer};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::parts::InstanceParts;
use crate::{
    cluster::OwnFacts,
    metrics::process_usage,
    nodes::Nodes,
    runtime::{api_server::ApiServer, listeners::Listeners, prober::ProberSlot},
    sources::Collector,
};

/// The parts that know how the instance is.
pub(super) struct FigureSources {
    connections: Arc<Connections>,
    pool: Arc<Nodes>,
    prober: Arc<ProberSlot>,
    collector: Arc<Collector>,
    writer: Writer,
    listeners: Arc<Listeners>,
    api: Arc<ApiServer>,
    /// The processor time of the process when it was read last.
    processor: Mutex<Option<(Instant, Duration)>>,
}

impl FigureSources {
    pub(super) fn new(parts: &InstanceParts, writer: &Writer) -> Self {
        Self {
            connections: Arc::clone(&parts.connections),
            pool: Arc::clone(&parts.pool),
            prober: Arc::clone(&parts.prober),
            collector: Arc::clone(&parts.collector),
            writer: writer.clone(),
            listeners: Arc::clone(&parts.listeners),
            api: Arc::clone(&parts.api),
            processor: Mutex::default(),
        }
    }

    /// How the instance is now, and where it listens.
    pub(super) fn read(&self) -> OwnFacts {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        OwnFacts {
            figures: self.figures(),
            proxy: text(self.listeners.addresses().first().copied()).into(),
            api: text(self.api.address()).into(),
        }
    }

    fn figures(&self) -> MemberFigures {
        let usage = process_usage();
        MemberFigures {
            tunnels: self.connections.len() as u64,
            routable: self.pool.snapshot().counts().routable() as u64,
            owned: self.prober.get().scheduled() as u64,
            queue: self.writer.status().pending as u64,
            claims: self.collector.reading() as u64,
            lag_ms: None,
            cpu_percent: usage.and_then(|usage| self.processor_share(usage.processor)),
            memory_bytes: usage.map(|usage| usage.memory_bytes),
        }
    }

    /// Processor time since the last reading, in percent of one processor.
    fn processor_share(&self, total: Duration) -> Option<u64> {
        let now = Instant::now();
        let (before, spent) = self.processor.lock().replace((now, total))?;
        let (passed, spent) = (now.duration_since(before).as_secs_f64(), total.saturating_sub(spent).as_secs_f64());
        (passed > 0.0).then(|| (spent * 100.0 / passed).round() as u64)
    }
}
