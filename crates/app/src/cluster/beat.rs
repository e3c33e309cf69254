//! The beats of this instance in the shared store, under a name that no other living process has.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::bail;
use hezar_core::{Role, Timestamp};
use hezar_probe::Ownership;
use hezar_store::{BEAT_EVERY, GONE_AFTER, MemberBeat, Members, SharedStore};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Membership;

/// How long the store may take for a beat.
const BEAT_LIMIT: Duration = Duration::from_secs(5);
/// How long the store may take at the end.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);
/// A process that has said nothing for so long under this instance's name is dead: two beats and a half.
const RIVAL_SILENCE: Duration = Duration::from_secs(5);

/// Another process under the name of this instance, while it is watched whether it lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    incarnation: i64,
    /// When it beat, by the database's clock.
    beat: Timestamp,
    seen: Instant,
}

impl Membership {
    /// Beats until `end`. When the instance ends then (`stopping`), it leaves; otherwise it hands over to another process of its name.
    ///
    /// # Errors
    /// Another living process has the name of this instance.
    pub(crate) async fn run(&self, end: &CancellationToken, stopping: &CancellationToken) -> anyhow::Result<()> {
        let Some(shared) = &self.shared else {
            end.cancelled().await;
            return Ok(());
        };
        let beaten = self.beat_until(shared, end).await;
        let is_leaving = stopping.is_cancelled() || beaten.is_err();
        let parting = async {
            if is_leaving {
                shared.leave(&self.name, self.incarnation).await
            } else {
                shared.hand_over_member(&self.name, self.incarnation).await
            }
        };
        if !matches!(timeout(LEAVE_LIMIT, parting).await, Ok(Ok(()))) {
            tracing::warn!("the store was not told that this instance ends: the others notice it in {GONE_AFTER:?}");
        }
        beaten
    }

    /// Beats until `end`.
    async fn beat_until(&self, shared: &Arc<dyn SharedStore>, end: &CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(BEAT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        let (mut rival, mut was_away) = (None, false);
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let takes_over = rival.is_some_and(|rival: Rival| rival.seen.elapsed() >= RIVAL_SILENCE);
            let own = self.beat();
            let beaten = tokio::select! {
                biased;
                () = end.cancelled() => return Ok(()),
                beaten = timeout(BEAT_LIMIT, shared.beat(&own, takes_over)) => beaten,
            };
            match beaten {
                Ok(Ok(members)) if members.is_accepted => {
                    (rival, was_away) = (None, false);
                    self.publish(&members);
                }
                Ok(Ok(members)) => rival = self.watch_rival(rival, &members)?,
                failed => {
                    self.failed_beats.fetch_add(1, Relaxed);
                    // While the store is away a rival cannot show that it lives.
                    rival = None;
                    if !std::mem::replace(&mut was_away, true) {
                        let reason = match failed {
                            Ok(Err(error)) => error.to_string(),
                            _ => "no answer in time".to_owned(),
                        };
                        tracing::warn!(
                            "the store cannot be told that this instance lives; it goes on with what it knows: {reason}"
                        );
                    }
                    self.go_on_alone(begun);
                }
            }
        }
    }

    /// Watches whether another process under this name lives; one that says nothing for a while is dead.
    pub(super) fn watch_rival(&self, known: Option<Rival>, members: &Members) -> anyhow::Result<Option<Rival>> {
        let Some(row) = members.rows.iter().find(|row| row.beat.name == self.name) else { return Ok(None) };
        let beat = Timestamp(members.now.0.saturating_sub(u64::try_from(row.age.as_millis()).unwrap_or(u64::MAX)));
        let incarnation = row.beat.incarnation;
        let seen = Instant::now();
        match known.filter(|rival| rival.incarnation == incarnation) {
            // Reading the clock twice is not exact.
            Some(rival) if beat.0 > rival.beat.0 + 500 => {
                let MemberBeat { host, pid, .. } = &row.beat;
                bail!(
                    "another instance named {:?} lives (process {pid} on {host}): each needs a name of its own (cluster.name) and a data folder of its own",
                    self.name
                )
            }
            Some(rival) => Ok(Some(rival)),
            None => Ok(Some(Rival { incarnation, beat, seen })),
        }
    }

    /// A prober that has never reached the store as long as others would take to notice it probes all nodes that it knows.
    fn go_on_alone(&self, begun: Instant) {
        if self.silence().is_none() && self.roles.has(Role::Probe) && begun.elapsed() > GONE_AFTER {
            self.set_ownership(Ownership::shared(&self.name, []));
        }
    }
}
