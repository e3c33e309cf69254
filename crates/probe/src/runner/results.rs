//! What the prober makes of the results that its tasks bring back.

use std::{sync::Arc, time::Duration};

use hezar_core::{NodeId, Stage, Timestamp};
use hezar_engine::{Cause, DialError, Dialer, Tunnelled};
use hezar_pool::{Exit, Failure, Origin, Outcome, Success};
use tokio::task::{AbortHandle, Id, JoinError};

use super::{
    Blackout, Checked, Done, Flight, Outbound, Runner,
    tampering::{PROBE_URL, Trust, witness},
};
use crate::{
    Answer, Control, Doubt, Ended, GuardState, ProbeResult, Progress, Ruling,
    prober::Payload,
    suspicion::{Blame, digest},
    verdict::Verdict,
};

/// A failed exit lookup is tried again after this share of the usual interval.
const TRACE_RETRY: u32 = 24;

impl Runner {
    /// Takes in the result of a task and of all others that have ended meanwhile.
    pub(super) fn collect(&mut self, first: Result<(Id, Done), JoinError>) {
        let mut next = Some(first);
        while let Some(done) = next {
            match done {
                Ok((_, Done::Control(found))) => self.controlled(found),
                Ok((id, Done::Checked(result))) => self.checked(id, result),
                Ok((id, Done::Traced(result))) => self.traced(id, result),
                Err(error) => self.lost(&error),
            }
            next = self.tasks.try_join_next_with_id();
        }
    }

    /// The flight of a task that has ended, when its result is about the node that is scheduled now. A node may have
    /// left, and come back as another one, between the end of its probe and this moment.
    fn land(&mut self, id: Id) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        let id = flight.node.id();
        if flight.run.is_none() || self.schedule.run_of(id) != flight.run {
            // Its place was taken away, and with it the slot was freed.
            return None;
        }
        if !flight.node.gone() {
            return Some(flight);
        }
        self.drop_node(id);
        if let Some(node) = self.shared.pool.node(id).filter(|node| node.unsupported().is_none()) {
            let now = self.now();
            self.admit(&node, now);
        }
        None
    }

    fn checked(&mut self, id: Id, result: Result<Checked, Verdict>) {
        let Some(flight) = self.land(id) else { return };
        let now = self.now();
        if let Ok(_) | Err(Verdict::Tampered(_)) = &result {
            self.schedule.note_answer(flight.node.id(), Answer::Works);
        }
        match result {
            Ok(Checked { took, dialer, looks }) => match self.trust(&flight.node, &looks, now) {
                Trust::Fine => self.works(flight, took, dialer, now),
                Trust::Unsure(code) | Trust::Caught(code) => self.distrusted(&flight, code, now),
            },
            Err(Verdict::Failed(failure)) => self.failed(&flight, failure, now),
            Err(Verdict::Tampered(code)) => self.intercepts(&flight, code, now),
            Err(Verdict::Nothing(code)) => {
                self.shared.metrics.ended("inconclusive", code);
                self.answer(flight.node.id(), ProbeResult::Inconclusive(code));
                self.end_without(&flight.node, now);
            }
            Err(Verdict::Unsupported(code)) => {
                self.shared.metrics.ended("unsupported", code);
                self.shared.pool.mark_unsupported(flight.node.id(), code);
                self.count(|pass| pass.unsupported += 1);
                self.drop_node(flight.node.id());
            }
        }
    }

    /// A check that counts as a success; the exit lookup follows when it is due.
    fn works(&mut self, mut flight: Flight, took: Duration, dialer: Payload, now: Timestamp) {
        self.succeeded(&flight, took, now);
        self.answer(flight.node.id(), ProbeResult::Works(took));
        if let Some(abort) = self.trace(&flight.node, dialer, now) {
            (flight.latency, flight.abort) = (Some(took), abort);
            self.flights.insert(flight.abort.id(), flight);
            return;
        }
        self.end(&flight.node, true, now);
    }

    /// The node showed another certificate for the probe URL.
    fn intercepts(&mut self, flight: &Flight, code: &'static str, now: Timestamp) {
        match self.changed(witness(&flight.node), PROBE_URL, (code, digest(code)), now) {
            Blame::Node | Blame::Nobody => self.distrusted(flight, code, now),
            Blame::Page => {
                // The probe's own certificate fails for everybody: the check says nothing.
                self.shared.metrics.ended("inconclusive", code);
                self.answer(flight.node.id(), ProbeResult::Inconclusive(code));
                self.end_without(&flight.node, now);
            }
        }
    }

    /// Neither a success nor a failure: the node works, only not for us.
    fn distrusted(&mut self, flight: &Flight, code: &'static str, now: Timestamp) {
        self.shared.metrics.ended("tampered", code);
        self.answer(flight.node.id(), ProbeResult::Tampered(code));
        self.end_without(&flight.node, now);
    }

    fn succeeded(&mut self, flight: &Flight, latency: Duration, now: Timestamp) {
        let id = flight.node.id();
        self.shared.metrics.ended("ok", "");
        self.shared.metrics.took(latency);
        self.shared.pool.report(id, &Outcome::success(Origin::Probe, latency), now);
        let before = self.guard.state();
        let freed = self.guard.success(id, flight.was_healthy, flight.started, now);
        self.settle(before, freed, now);
        if let Some(blackout) = self.blackout.take() {
            self.end_blackout(blackout, now);
        }
    }

    /// Something works again: what died in the blackout or shortly before it is tried soon.
    fn end_blackout(&mut self, blackout: Blackout, now: Timestamp) {
        let pool = &self.shared.pool;
        let shortly = self.shared.config.interval * 15;
        let fits = |id| {
            let dead_since = pool.node(id).and_then(|node| node.record().dead_since);
            dead_since.is_some_and(|dead_since| blackout.since.since(dead_since) < shortly)
        };
        self.schedule.hurry_dead(now, fits, rand::random);
    }

    fn failed(&mut self, flight: &Flight, failure: Failure, now: Timestamp) {
        let node = &flight.node;
        let record = node.record();
        let doubt = Doubt {
            id: node.id(),
            failure,
            was_healthy: flight.was_healthy,
            lethal: record.state.routable() && record.failures + 1 >= self.shared.pool.rules().dead_after,
            started: flight.started,
            failed_last: self.schedule.failed_last(node.id()),
            routable: self.shared.pool.snapshot().counts().routable(),
        };
        let before = self.guard.state();
        let ruling = self.guard.failure(&doubt, now);
        let Failure { stage, code, .. } = failure;
        self.answer(node.id(), ProbeResult::Failed { stage, code, counted: ruling == Ruling::Apply });
        match ruling {
            Ruling::Apply => {
                self.shared.metrics.ended("failed", failure.code);
                self.schedule.note_answer(node.id(), answer_of(&failure));
                self.report(node.id(), failure, now);
                self.end(node, false, now);
            }
            Ruling::Hold => {
                self.shared.metrics.ended("held", failure.code);
                if before == GuardState::Open {
                    tracing::warn!(controls = self.shared.controls.possible(), "many failures at once, held back");
                }
                self.end_without(node, now);
            }
            Ruling::Void => {
                self.shared.metrics.ended("void", failure.code);
                self.count(|pass| pass.failed += 1);
                self.finish(node.id(), Ended::Again, now);
            }
        }
    }

    fn report(&self, id: NodeId, failure: Failure, now: Timestamp) {
        self.shared.pool.report(id, &Outcome { origin: Origin::Probe, result: Err(failure) }, now);
    }

    /// After a doubt, everybody who was not judged is probed again at once. In a single pass nobody will be: there the
    /// failures that were held count, if the guard has let them go.
    pub(super) fn settle(&mut self, before: GuardState, freed: Vec<(NodeId, Failure)>, now: Timestamp) {
        if before == GuardState::Open || self.guard.state() != GuardState::Open {
            return;
        }
        tracing::info!(held = freed.len(), "failures count again");
        if self.pass.is_some() {
            freed.into_iter().for_each(|(id, failure)| self.report(id, failure, now));
        } else {
            self.schedule.hurry_unproven(now, rand::random);
        }
    }

    fn controlled(&mut self, found: Control) {
        let (before, now) = (self.guard.state(), self.now());
        self.shared.metrics.control(match found {
            Control::Up => "up",
            Control::UplinkDown => "uplink-down",
            Control::UrlDown => "url-down",
        });
        self.shared.metrics.found(found);
        let freed = self.guard.control(found, now);
        self.settle(before, freed, now);
        if before != GuardState::Outage && self.guard.state() == GuardState::Outage {
            tracing::warn!(?found, "outage of our own: failures do not count");
        }
    }

    /// Starts the exit lookup of a node that works, when it is due.
    fn trace(&mut self, node: &Outbound, dialer: Payload, now: Timestamp) -> Option<AbortHandle> {
        let lookup = Arc::clone(self.shared.trace.as_ref()?);
        let seen = node.record().exit_seen;
        let fresh = seen.is_some_and(|seen| now.since(seen) < self.shared.config.trace_interval);
        let blocked = self.trace_after.get(&node.id()).is_some_and(|after| now < *after);
        if fresh || blocked {
            return None;
        }
        let attempt = self.shared.attempt();
        let takes_plain = node.http_ability().is_plain(80);
        Some(self.tasks.spawn(async move {
            // An HTTP proxy that knows CONNECT alone is asked for a tunnel to a plain page, too.
            let (tunnel, direct): (Tunnelled<'_>, &dyn Dialer) = (Tunnelled(&*dialer), &*dialer);
            Done::Traced(lookup.exit(if takes_plain { direct } else { &tunnel }, &attempt).await)
        }))
    }

    fn traced(&mut self, id: Id, result: Result<Exit, DialError>) {
        let Some(flight) = self.land(id) else { return };
        let (node_id, now) = (flight.node.id(), self.now());
        match result {
            Ok(mut exit) => {
                let known = self.shared.geo.as_ref().and_then(|geo| geo.country(exit.ip));
                exit.country = known.or(exit.country);
                self.trace_after.remove(&node_id);
                let success = Success { latency: flight.latency.unwrap_or_default(), exit: Some(exit) };
                self.shared.pool.report(node_id, &Outcome { origin: Origin::Probe, result: Ok(success) }, now);
            }
            Err(error) => {
                tracing::debug!(node = %node_id, code = error.code(), "exit lookup failed");
                self.trace_later(node_id, now);
            }
        }
        self.answer(node_id, ProbeResult::Works(flight.latency.unwrap_or_default()));
        self.end(&flight.node, true, now);
    }

    /// Notes that an exit lookup failed, so that it is not tried again at every probe.
    fn trace_later(&mut self, id: NodeId, now: Timestamp) {
        let retry = self.shared.config.trace_interval / TRACE_RETRY;
        self.trace_after.insert(id, now.after(retry));
    }

    /// A task ended without a result: aborted, or it panicked. Its node is probed again like one of which a probe
    /// said nothing.
    fn lost(&mut self, error: &JoinError) {
        let task = match self.flights.get(&error.id()) {
            Some(flight) if flight.latency.is_some() => "exit-lookup",
            Some(_) => "probe",
            // Only a control check flies without a flight.
            None => "control-check",
        };
        if error.is_panic() {
            self.shared.metrics.panicked(task);
            let node = self.flights.get(&error.id()).map(|flight| flight.node.id());
            tracing::error!(task, ?node, "a task of the prober panicked");
        }
        if task == "control-check" && !error.is_cancelled() {
            return self.controlled(Control::UplinkDown);
        }
        let Some(flight) = self.land(error.id()) else { return };
        let (id, now) = (flight.node.id(), self.now());
        let Some(latency) = flight.latency else {
            self.answer(id, ProbeResult::Panicked);
            return self.end_without(&flight.node, now);
        };
        self.answer(id, ProbeResult::Works(latency));
        self.trace_later(id, now);
        self.end(&flight.node, true, now);
    }

    /// Plans the next probe after a verdict that counted.
    fn end(&mut self, node: &Outbound, ok: bool, now: Timestamp) {
        self.count(|pass| if ok { pass.ok += 1 } else { pass.failed += 1 });
        let record = node.record();
        self.finish(node.id(), Ended::Judged(record.state, record.failures), now);
    }

    /// Plans the next probe after one that said nothing.
    fn end_without(&mut self, node: &Outbound, now: Timestamp) {
        self.count(|pass| pass.failed += 1);
        self.finish(node.id(), Ended::Nothing, now);
    }

    fn finish(&mut self, id: NodeId, ended: Ended, now: Timestamp) {
        if self.pass.is_some() {
            self.schedule.remove(id);
        } else {
            self.schedule.finish(id, ended, now, rand::random());
        }
    }

    fn count(&mut self, change: impl FnOnce(&mut Progress)) {
        if let Some(pass) = &mut self.pass {
            change(pass);
            pass.done += 1;
        }
    }
}

/// Whether anything at the node's host answered: nothing did when its name was not found or the connection was not
/// opened, nor when only silence came before the node's own handshake was over.
fn answer_of(failure: &Failure) -> Answer {
    let silence = failure.code == Cause::Timeout.code() && failure.stage <= Stage::Handshake;
    if failure.stage <= Stage::Connect || silence { Answer::Silent } else { Answer::Speaks }
}
