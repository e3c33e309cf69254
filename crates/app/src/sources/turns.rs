//! Whose turn it is to read a source, where several instances read the same ones: who claims it first reads it, the others take over
//! what its row says then.

use std::{sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_store::{Claimed, SharedStore, SourceRow, StoreError, Writer};
use tokio::{
    sync::watch,
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
    _lengthening: DropGuard,
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
        let ended = CancellationToken::new();
        let (turns, name, end) = (self.clone(), Arc::clone(source), ended.clone());
        tokio::spawn(async move {
            let lengthen = async {
                loop {
                    sleep(LENGTHEN_EVERY).await;
                    // When it fails the lease may run out, and the source is read twice, which does no harm.
                    let _ = turns.shared.claim_source(&name, &turns.holder, LEASE).await;
                }
            };
            tokio::select! {
                () = end.cancelled() => {}
                () = lengthen => {}
            }
        });
        Claim { turns: self.clone(), source: Arc::clone(source), _lengthening: ended.drop_guard() }
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
        if let Err(error) = self.turns.shared.release_source(&self.source, &self.turns.holder).await {
            tracing::debug!(source = %self.source, "a claim runs out by itself: {error}");
        }
    }
}
