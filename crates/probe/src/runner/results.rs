//! What the prober makes of the results that its tasks bring back.

use std::time::Duration;

use hezar_core::{NodeId, Stage, Timestamp, hash64};
use hezar_engine::Cause;
use hezar_pool::{Failure, Origin, Outcome};
use tokio::task::{Id, JoinError};

use super::{
    Checked, PoolNode, Runner, RunningProbe, TaskResult, TotalFailure,
    tampering::{CanaryVerdict, PROBE_URL, observer_of},
};
use crate::{
    ControlResult, Decision, FailureEvidence, GuardState, HostResponse, ProbeEnd, ProbeResult, Progress,
    context::Payload, probe_error::ProbeError, tamper_tracker::Blame,
};

/// The most checks of one probe that follow each other, each with its own time limit.
const MOST_CHECKS: u32 = 4;
/// What a busy machine may add to them.
const STANDSTILL: Duration = Duration::from_secs(5);

impl Runner {
    /// Takes in the result of a task and of all others that have ended meanwhile.
    pub(super) fn collect(&mut self, first: Result<(Id, TaskResult), JoinError>) {
        let mut next = Some(first);
        while let Some(done) = next {
            match done {
                Ok((_, TaskResult::Control(found))) => self.controlled(found),
                Ok((id, TaskResult::Checked(result))) => self.checked(id, result),
                Ok((id, TaskResult::FollowedUp(told))) => self.followed_up(id, told),
                Err(error) => self.lost(&error),
            }
            next = self.tasks.try_join_next_with_id();
        }
    }

    /// The probe of a task that has ended, when its result is about the node that is scheduled now. A node may have
    /// left, and come back as another one, between the end of its probe and this moment.
    pub(super) fn take_current(&mut self, id: Id) -> Option<RunningProbe> {
        let probe = self.running.remove(&id)?;
        let id = probe.node.id();
        if probe.run.is_none() || self.schedule.run_of(id) != probe.run {
            // Its place was taken away, and with it the slot was freed.
            return None;
        }
        if !probe.node.gone() {
            return Some(probe);
        }
        self.drop_node(id);
        if let Some(node) = self.context.pool.node(id).filter(|node| node.is_probed())
            && (self.owned.owns_node(&node) || self.wanted.contains_key(&id))
        {
            let now = self.now();
            self.admit(&node, now);
        }
        None
    }

    fn checked(&mut self, id: Id, result: Result<Checked, ProbeError>) {
        let Some(probe) = self.take_current(id) else { return };
        let now = self.now();
        if let Ok(_) | Err(ProbeError::Tampered(_)) = &result {
            self.schedule.note_answer(probe.node.id(), HostResponse::Works);
        }
        match result {
            Ok(Checked { took, dialer, canaries }) => match self.judge_canaries(&probe.node, &canaries, now) {
                CanaryVerdict::Trusted => self.works(probe, took, dialer, now),
                CanaryVerdict::Undecided(code) | CanaryVerdict::Tampered(code) => self.distrusted(&probe, code, now),
            },
            Err(ProbeError::Failed(failure)) => self.failed(&probe, failure, now),
            Err(ProbeError::Tampered(code)) => self.intercepts(&probe, code, now),
            Err(ProbeError::Inconclusive(code)) => {
                self.context.metrics.ended("inconclusive", code);
                self.answer(probe.node.id(), ProbeResult::Inconclusive(code.into()));
                self.end_without(&probe.node, now);
            }
            Err(ProbeError::Unsupported(code)) => {
                self.context.metrics.ended("unsupported", code);
                self.context.pool.mark_unsupported(probe.node.id(), code);
                self.count(|pass| pass.unsupported += 1);
                self.drop_node(probe.node.id());
            }
        }
    }

    /// A check that counts as a success; what is asked seldom follows when it is due.
    fn works(&mut self, mut probe: RunningProbe, took: Duration, dialer: Option<Payload>, now: Timestamp) {
        self.succeeded(&probe, took, now);
        self.answer(probe.node.id(), ProbeResult::Works(took));
        if let Some(abort) = dialer.and_then(|dialer| self.follow_up(&probe.node, dialer, now)) {
            (probe.latency, probe.abort) = (Some(took), abort);
            self.running.insert(probe.abort.id(), probe);
            return;
        }
        self.end(&probe.node, true, now);
    }

    /// The node showed another certificate for the probe URL.
    fn intercepts(&mut self, probe: &RunningProbe, code: &'static str, now: Timestamp) {
        match self.judge_changed(observer_of(&probe.node), PROBE_URL, (code, hash64(code.as_bytes())), now) {
            Blame::Node | Blame::Nobody => self.distrusted(probe, code, now),
            Blame::Page => {
                // The probe's own certificate fails for everybody: the check says nothing.
                self.context.metrics.ended("inconclusive", code);
                self.answer(probe.node.id(), ProbeResult::Inconclusive(code.into()));
                self.end_without(&probe.node, now);
            }
        }
    }

    /// Neither a success nor a failure: the node works, only not for us.
    fn distrusted(&mut self, probe: &RunningProbe, code: &'static str, now: Timestamp) {
        self.context.metrics.ended("tampered", code);
        self.answer(probe.node.id(), ProbeResult::Tampered(code.into()));
        self.end_without(&probe.node, now);
    }

    fn succeeded(&mut self, probe: &RunningProbe, latency: Duration, now: Timestamp) {
        let id = probe.node.id();
        self.context.metrics.ended("ok", "");
        self.context.metrics.took(latency);
        self.context.pool.report(id, &Outcome::success(Origin::Probe, latency), now);
        let before = self.guard.state();
        let freed = self.guard.success(id, probe.was_healthy, probe.started, now);
        self.settle(before, freed, now);
        if let Some(total_failure) = self.total_failure.take() {
            self.end_total_failure(total_failure, now);
        }
    }

    /// Something works again: what died while nothing worked or shortly before it is tried soon.
    fn end_total_failure(&mut self, total_failure: TotalFailure, now: Timestamp) {
        let pool = &self.context.pool;
        let shortly = self.context.config.interval * 15;
        let fits = |id| {
            let dead_since = pool.node(id).and_then(|node| node.record().dead_since);
            dead_since.is_some_and(|dead_since| total_failure.since.since(dead_since) < shortly)
        };
        self.schedule.expedite_dead(now, fits, rand::random);
    }

    fn failed(&mut self, probe: &RunningProbe, failure: Failure, now: Timestamp) {
        let node = &probe.node;
        let record = node.record();
        let evidence = FailureEvidence {
            id: node.id(),
            failure,
            was_healthy: probe.was_healthy,
            lethal: record.state.routable() && record.failures + 1 >= self.context.pool.rules().dead_after,
            started: probe.started,
            failed_last: self.schedule.failed_last(node.id()),
            routable: self.context.pool.snapshot().counts().routable(),
        };
        let before = self.guard.state();
        let decision =
            if self.was_stopped(probe, now) { Decision::Discard } else { self.guard.failure(&evidence, now) };
        let Failure { stage, code, .. } = failure;
        self.answer(node.id(), ProbeResult::Failed { stage, code, counted: decision == Decision::Apply });
        match decision {
            Decision::Apply => {
                self.context.metrics.ended("failed", failure.code.as_str());
                self.schedule.note_answer(node.id(), host_response(&failure));
                self.report(node.id(), failure, now);
                self.end(node, false, now);
            }
            Decision::Hold => {
                self.context.metrics.ended("held", failure.code.as_str());
                if before == GuardState::Open {
                    tracing::warn!(controls = self.context.controls.possible(), "many failures at once, held back");
                }
                self.end_without(node, now);
            }
            Decision::Discard => {
                self.context.metrics.ended("void", failure.code.as_str());
                self.count(|pass| pass.failed += 1);
                self.finish(node.id(), ProbeEnd::Retry, now);
            }
        }
    }

    /// Whether a probe took longer than its time limits allow: then this process or its machine stood still meanwhile, and what failed
    /// says nothing about the node.
    fn was_stopped(&self, probe: &RunningProbe, now: Timestamp) -> bool {
        now.since(probe.started) > self.context.config.timeout * MOST_CHECKS + STANDSTILL
    }

    fn report(&self, id: NodeId, failure: Failure, now: Timestamp) {
        self.context.pool.report(id, &Outcome { origin: Origin::Probe, result: Err(failure) }, now);
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
            self.schedule.expedite_undecided(now, rand::random);
        }
    }

    fn controlled(&mut self, found: ControlResult) {
        let (before, now) = (self.guard.state(), self.now());
        self.context.metrics.control(match found {
            ControlResult::Up => "up",
            ControlResult::UplinkDown => "uplink-down",
            ControlResult::UrlDown => "url-down",
        });
        self.context.metrics.found(found);
        let freed = self.guard.control(found, now);
        self.settle(before, freed, now);
        if before != GuardState::Outage && self.guard.state() == GuardState::Outage {
            tracing::warn!(?found, "outage of our own: failures do not count");
        }
    }

    /// A task ended without a result: aborted, or it panicked. Its node is probed again like one of which a probe
    /// said nothing.
    fn lost(&mut self, error: &JoinError) {
        let task = match self.running.get(&error.id()) {
            Some(probe) if probe.latency.is_some() => "exit-lookup",
            Some(_) => "probe",
            // Only a control check flies without a probe.
            None => "control-check",
        };
        if error.is_panic() {
            self.context.metrics.panicked(task);
            let node = self.running.get(&error.id()).map(|probe| probe.node.id());
            tracing::error!(task, ?node, "a task of the prober panicked");
        }
        if task == "control-check" && !error.is_cancelled() {
            return self.controlled(ControlResult::UplinkDown);
        }
        let Some(probe) = self.take_current(error.id()) else { return };
        let (id, now) = (probe.node.id(), self.now());
        let Some(latency) = probe.latency else {
            self.answer(id, ProbeResult::Panicked);
            return self.end_without(&probe.node, now);
        };
        self.answer(id, ProbeResult::Works(latency));
        self.retry_follow_up(id, now);
        self.end(&probe.node, true, now);
    }

    /// Plans the next probe after a verdict that counted.
    pub(super) fn end(&mut self, node: &PoolNode, ok: bool, now: Timestamp) {
        self.count(|pass| if ok { pass.ok += 1 } else { pass.failed += 1 });
        let record = node.record();
        self.finish(node.id(), ProbeEnd::Decided(record.state, record.failures), now);
    }

    /// Plans the next probe after one that said nothing.
    fn end_without(&mut self, node: &PoolNode, now: Timestamp) {
        self.count(|pass| pass.failed += 1);
        self.finish(node.id(), ProbeEnd::Inconclusive, now);
    }

    fn finish(&mut self, id: NodeId, ended: ProbeEnd, now: Timestamp) {
        let is_owned = || self.context.pool.node(id).is_some_and(|node| self.owned.owns_node(&node));
        if self.pass.is_some() || !is_owned() {
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
fn host_response(failure: &Failure) -> HostResponse {
    let silence = failure.code == Cause::Timeout.code() && failure.stage <= Stage::Handshake;
    if failure.stage <= Stage::Connect || silence { HostResponse::Silent } else { HostResponse::Speaks }
}
