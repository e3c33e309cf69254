//! Feeds the events that clients of the API watch: counts, traffic, nodes that change, the log, alerts.

use std::{sync::Arc, time::Duration};

use hezar_api::{AlertEvent, CountsEvent, EventHub, NodeChange, NodesEvent, StateCounts, Topic, TrafficEvent};
use hezar_core::NodeId;
use hezar_engine::Clock;
use hezar_gateway::{Metrics, Traffic};
use hezar_pool::{Counts, Watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    diagnosis::Diagnosis,
    logs,
    nodes::{Nodes, state_name},
    sources::status::SourceTable,
};

/// How often events are made.
const EVERY: Duration = Duration::from_secs(1);
/// The most nodes that one event names.
const MOST_NODES: usize = 100;
/// The most lines of the log that are told each time.
const MOST_LINES: usize = 100;

/// Makes events each second. What only readers need is made while there are any.
pub(crate) struct EventFeed {
    pub(crate) hub: Arc<EventHub>,
    pub(crate) pool: Arc<Nodes>,
    pub(crate) metrics: Metrics,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) table: SourceTable,
    pub(crate) clock: Clock,
}

/// What readers were told last.
struct Told {
    nodes: Watch,
    traffic: (Instant, Traffic),
    counts: Option<(Counts, usize)>,
    line: u64,
}

impl EventFeed {
    /// Makes events until the stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut alerts) = (None, Alerts::default());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            alerts.tell(self);
            if self.hub.is_read() {
                self.tell(told.get_or_insert_with(|| self.begin()));
            } else {
                // A watch that nobody takes from would grow to the number of nodes.
                told = None;
            }
        }
    }

    fn begin(&self) -> Told {
        let line = *logs::recent().changes().borrow();
        let traffic = (Instant::now(), self.metrics.traffic());
        Told { nodes: self.pool.watch_states(), traffic, counts: None, line }
    }

    fn tell(&self, told: &mut Told) {
        self.tell_traffic(told);
        self.tell_counts(told);
        self.tell_nodes(told);
        let (lines, _) = logs::recent().lines(told.line, |_| true);
        for line in lines.iter().take(MOST_LINES) {
            told.line = line.number;
            self.hub.publish(Topic::Log, line);
        }
    }

    fn tell_traffic(&self, told: &mut Told) {
        let (now, traffic) = (Instant::now(), self.metrics.traffic());
        let (before_at, before) = std::mem::replace(&mut told.traffic, (now, traffic));
        let milliseconds = u64::try_from((now - before_at).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |bytes: u64, before: u64| bytes.saturating_sub(before).saturating_mul(1000) / milliseconds;
        let Traffic { ok, failed, refused, up, down, tunnels, connections } = traffic;
        let event = TrafficEvent {
            at: self.clock.now().0,
            up_rate: rate(up, before.up),
            down_rate: rate(down, before.down),
            up,
            down,
            ok,
            failed,
            refused,
            tunnels,
            connections,
        };
        self.hub.publish(Topic::Traffic, &event);
    }

    fn tell_counts(&self, told: &mut Told) {
        let snapshot = self.pool.snapshot();
        let counts = (snapshot.counts(), snapshot.exits());
        if told.counts.replace(counts) != Some(counts) {
            self.hub.publish(Topic::Counts, &CountsEvent { nodes: state_counts(&counts.0), exits: counts.1 });
        }
    }

    fn tell_nodes(&self, told: &Told) {
        let changed = told.nodes.take(usize::MAX);
        if changed.is_empty() {
            return;
        }
        let nodes = changed.iter().take(MOST_NODES).map(|changed| self.node_change(changed.id)).collect();
        self.hub.publish(Topic::Nodes, &NodesEvent { changed: changed.len(), nodes });
    }

    fn node_change(&self, id: NodeId) -> NodeChange {
        let node = self.pool.node(id);
        let latency = node.as_ref().and_then(|node| node.latency());
        NodeChange {
            id: id.to_string(),
            state: node.as_ref().map(|node| state_name(node).to_owned()),
            latency_ms: latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Nodes per state, as the API says them.
pub(super) fn state_counts(counts: &Counts) -> StateCounts {
    StateCounts {
        new: counts.new,
        healthy: counts.healthy,
        suspect: counts.suspect,
        dead: counts.dead,
        unsupported: counts.unsupported,
        quarantined: counts.quarantined,
        disabled: counts.disabled,
    }
}

/// Which alerts hold.
#[derive(Default)]
struct Alerts {
    no_service: bool,
    store_behind: bool,
}

impl Alerts {
    /// Tells alerts that begin or end.
    fn tell(&mut self, feed: &EventFeed) {
        let reason = feed.diagnosis.line.read().clone();
        let text = reason.as_deref().unwrap_or("requests can be served");
        change(&mut self.no_service, reason.is_some(), || tell(feed, "no-service", reason.is_some(), text));
        let store = feed.table.store();
        let behind = store.behind_s.is_some();
        let text = store.last_error_text.filter(|_| behind).unwrap_or_else(|| "the store can be written".to_owned());
        change(&mut self.store_behind, behind, || tell(feed, "store-behind", behind, &text));
    }
}

fn change(held: &mut bool, holds: bool, tell: impl FnOnce()) {
    if std::mem::replace(held, holds) != holds {
        tell();
    }
}

fn tell(feed: &EventFeed, alert: &str, active: bool, text: &str) {
    feed.hub.publish(Topic::Alerts, &AlertEvent { alert: alert.to_owned(), active, text: text.to_owned() });
}
