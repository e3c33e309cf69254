//! Whose turn it is to read a source, where several instances read the same ones: who claims it first reads it, the others take over
//! what its row says then.

use std::{sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_store::{Claimed, SharedStore, SourceRow, StoreError, Writer};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a claim lasts that is not lengthened: an instance that dies gives its sources up after that.
const LEASE: Duration = Duration::from_secs(30);
/// How often a claim is lengthened while the source is read.
const LENGTHEN_EVERY: Duration = Duration::from_secs(10);
/// When a source is looked at again that another instance reads.
const HELD_PAUSE: Duration = Duration::from_secs(2);
/// When one is looked at again after the store could not be asked.
const AWAY_PAUSE: Duration = Duration::from_secs(10);
/// How long what a reading gave may take to be written before its claim is given up all the same.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Takes turns with the other instances that read sources. Cheap to clone.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) shared: Arc<dyn SharedStore>,
    /// The name of this instance.
    pub(super) holder: Arc<str>,
    /// Whether this instance is drained: then it takes no turn unless somebody asks it.
    pub(super) draining: watch::Receiver<bool>,
    /// Sources that somebody wants to be read, as the instance learns it.
    pub(super) requested: watch::Receiver<Arc<[Arc<str>]>>,
}

/// Whether a source is to be read here and now.
pub(super) enum Turn {
    /// It is, with what the store knows of the source now.
    Own(Claim, Option<SourceRow>),
    /// It is not.
    NotNow {
        /// What the store knows of the source now, where it could be asked.
        row: Option<SourceRow>,
        /// When to look again.
        again: Timestamp,
    },
}

/// A source that only this instance reads. It is lengthened until it is given up, or dropped.
pub(super) struct Claim {
    turns: Turns,
    source: Arc<str>,
    lengthening: Lengthening,
}

impl Turns {
    /// Claims a source that is due at `now`, or that somebody wants to be read since `wanted`.
    pub(super) async fn take(&self, source: &Arc<str>, wanted: Option<Timestamp>, now: Timestamp) -> Turn {
        let not_now = |row, pause| Turn::NotNow { row, again: now.after(pause) };
        if wanted.is_none() && *self.draining.borrow() {
            return not_now(None, HELD_PAUSE);
        }
        match self.try_to_take(source, wanted, now).await {
            Ok(Some(turn)) => turn,
            Ok(None) => not_now(self.shared.source(source).await.ok().flatten(), HELD_PAUSE),
            Err(error) => {
                tracing::warn!(source = %source, "the store cannot be asked whose turn it is to read a source: {error}");
                not_now(None, AWAY_PAUSE)
            }
        }
    }

    /// `None` when another instance has claimed it.
    async fn try_to_take(
        &self,
        source: &Arc<str>,
        wanted: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Turn>, StoreError> {
        let claimed = self.shared.claim_source(source, &self.holder, LEASE).await?;
        let Claimed::Granted { is_requested } = claimed else { return Ok(None) };
        let claim = self.hold(source);
        let row = self.shared.source(source).await?;
        if !is_requested && let Some(again) = row.as_ref().and_then(|row| done_by_another(row, wanted, now)) {
            claim.release().await;
            return Ok(Some(Turn::NotNow { row, again }));
        }
        Ok(Some(Turn::Own(claim, row)))
    }

    fn hold(&self, source: &Arc<str>) -> Claim {
        let (turns, name) = (self.clone(), Arc::clone(source));
        let lengthening = Lengthening::begin(move || {
            let (turns, name) = (turns.clone(), Arc::clone(&name));
            async move {
                // When it fails the lease may run out, and the source is read twice, which does no harm.
                let _ = turns.shared.claim_source(&name, &turns.holder, LEASE).await;
            }
        });
        Claim { turns: self.clone(), source: Arc::clone(source), lengthening }
    }
}

/// Lengthens a claim until it is ended, or dropped.
struct Lengthening {
    end: DropGuard,
    task: JoinHandle<()>,
}

impl Lengthening {
    fn begin<F: Future<Output = ()> + Send + 'static>(lengthen: impl Fn() -> F + Send + Sync + 'static) -> Self {
        let end = CancellationToken::new();
        let ended = end.clone();
        let task = tokio::spawn(async move {
            while ended.run_until_cancelled(sleep(LENGTHEN_EVERY)).await.is_some() {
                lengthen().await;
            }
        });
        Self { end: end.drop_guard(), task }
    }

    /// Ends it. What is on its way has arrived afterwards: what would come later would be a claim of nobody.
    async fn end(self) {
        drop(self.end);
        let _ = self.task.await;
    }
}

/// When the source is due again, if another instance has read it since it was wanted or due here.
fn done_by_another(row: &SourceRow, wanted: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let is_fresh = wanted.is_none_or(|since| row.last_fetch.is_some_and(|read| read >= since));
    row.next_fetch.filter(|next| is_fresh && *next > now)
}

impl Claim {
    /// Gives the claim up when what was read is in the store: whoever is next must not read the source for what it had before.
    pub(super) fn release_when_written(self, writer: Writer) {
        tokio::spawn(async move {
            // A store that is away releases nothing either: then the lease runs out.
            let _ = timeout(WRITE_LIMIT, writer.flush()).await;
            self.release().await;
        });
    }

    async fn release(self) {
        let Self { turns, source, lengthening } = self;
        lengthening.end().await;
        if let Err(error) = turns.shared.release_source(&source, &turns.holder).await {
            tracing::debug!(source = %source, "a claim runs out by itself: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_not_lengthened_behind_its_end() {
        let counts: [Arc<AtomicU32>; 2] = Default::default();
        let [begun, arrived] = counts.clone();
        let lengthening = Lengthening::begin(move || {
            let (begun, arrived) = (Arc::clone(&begun), Arc::clone(&arrived));
            async move {
                begun.fetch_add(1, SeqCst);
                sleep(Duration::from_secs(3)).await;
                arrived.fetch_add(1, SeqCst);
            }
        });
        // The second one is on its way.
        sleep(2 * LENGTHEN_EVERY + Duration::from_secs(4)).await;
        let counted = || counts.each_ref().map(|count| count.load(SeqCst));
        assert_eq!(counted(), [2, 1]);
        lengthening.end().await;
        assert_eq!(counted(), [2, 2], "it arrives before the end");
        sleep(3 * LENGTHEN_EVERY).await;
        assert_eq!(counted(), [2, 2]);
    }
}
