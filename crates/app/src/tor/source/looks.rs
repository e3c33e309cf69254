//! The looks at a Tor client: how far its start is, which circuits it has, and which of them are to be renewed.

use std::net::SocketAddr;

use anyhow::bail;
use hezar_pool::{Exit, Origin, Outcome, State, Success};
use hezar_tor::{Bootstrap, ControlConnection};
use tokio::time::Instant;

use super::TorSource;
use crate::{
    config::TorClient,
    sources::TOR_NOT_READY,
    tor::{circuits::Backoff, progress::progress},
};

/// So many failures in a row show that a circuit is of no use.
const FAILURES: u32 = 2;

/// What the looks at a client remember.
pub(super) struct Looks {
    pub(super) number: u32,
    bootstrap: Bootstrap,
    /// When the start went on last.
    moved: Instant,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self { number: 0, bootstrap: Bootstrap::default(), moved: Instant::now() }
    }

    /// Whether everything is looked at this time, not only how far the start is.
    pub(super) const fn is_time_for_all(&self) -> bool {
        self.number.is_multiple_of(3)
    }
}

impl TorSource {
    /// Asks the client how it is, and follows what has changed.
    pub(super) async fn look(
        &self,
        control: &mut ControlConnection,
        looks: &mut Looks,
        socks: Option<SocketAddr>,
    ) -> anyhow::Result<()> {
        looks.number = looks.number.wrapping_add(1);
        if !looks.bootstrap.is_done() {
            let bootstrap = control.bootstrap().await?;
            self.say_progress(&bootstrap, looks);
            if !bootstrap.is_done() {
                return Ok(());
            }
            let address = match socks {
                Some(socks) => Some(socks),
                None => control.socks_address().await?,
            };
            let Some(address) = address else { bail!("tor has no SOCKS port") };
            self.is_ready(address);
        }
        if !looks.is_time_for_all() {
            return Ok(());
        }
        let built = control.circuits().await?;
        let changed = self.state.lock().table.note(built, self.around.clock.now());
        let unknown = self.state.lock().table.unknown_relays();
        for relay in unknown {
            let Some((ip, country)) = control.relay(&relay).await? else { continue };
            if let Some(country) = country {
                self.around.geo.note_relay(ip, country);
            }
            self.state.lock().table.note_address(relay, (ip, country));
        }
        let renewed = self.state.lock().table.renew_unmoved();
        if renewed || changed {
            self.publish();
        }
        self.tell_exits();
        self.renew_failing();
        Ok(())
    }

    fn say_progress(&self, bootstrap: &Bootstrap, looks: &mut Looks) {
        if (bootstrap.percent, &bootstrap.tag) != (looks.bootstrap.percent, &looks.bootstrap.tag) {
            looks.moved = Instant::now();
        }
        looks.bootstrap = bootstrap.clone();
        let has_bridges = matches!(&self.client, TorClient::Own { bridges, .. } if !bridges.is_empty());
        let text = progress(bootstrap, looks.moved.elapsed(), has_bridges);
        if bootstrap.is_done() {
            tracing::info!(source = self.name, "{text}");
        } else {
            self.say(TOR_NOT_READY, &text);
        }
    }

    /// Tells the pool where circuits come out, as far as no probe has found that out: relays nearly always have one address.
    fn tell_exits(&self) {
        let (pool, now) = (&self.around.pool, self.around.clock.now());
        let state = self.state.lock();
        let Some(socks) = state.socks else { return };
        for (index, id) in state.table.ids(socks).into_iter().enumerate() {
            // What the prober has not found to work is not called healthy because a circuit was built.
            let Some(node) = pool.node(id).filter(|node| node.state() == State::Healthy) else { continue };
            let record = node.record();
            if let Some((ip, country)) = state.table.other_exit(index, record.exit_ip, record.exit_seen, now) {
                let latency = node.latency().unwrap_or_default();
                let success = Success { latency, exit: Some(Exit { ip, country }) };
                pool.report(id, &Outcome { origin: Origin::Traffic, result: Ok(success) }, now);
            }
        }
    }

    /// Renews the circuits whose nodes fail, and lists again what is missing in the pool.
    pub(super) fn renew_failing(&self) {
        let (pool, now) = (&self.around.pool, self.around.clock.now());
        let mut state = self.state.lock();
        let Some(socks) = state.socks else { return };
        let (mut missing, mut renewed) = (false, false);
        for (index, id) in state.table.ids(socks).into_iter().enumerate() {
            let Some(node) = pool.node(id) else {
                missing = true;
                continue;
            };
            let record = node.record();
            match record.state {
                State::Healthy => state.table.works(index),
                State::Dead => renewed |= state.table.renew_failing(index, now),
                State::Suspect if record.failures >= FAILURES => renewed |= state.table.renew_failing(index, now),
                State::New | State::Suspect => {}
            }
        }
        if !missing {
            state.relistings = Backoff::default();
        }
        let relist = missing && state.relistings.is_due(now);
        drop(state);
        if relist || renewed {
            self.publish();
        }
    }
}
