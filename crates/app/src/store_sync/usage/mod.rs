//! What users have moved, over a restart: the gateway counts, this adds what has grown to the store every few seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hezar_core::UtcDay;
use hezar_engine::Clock;
use hezar_gateway::{Usage, UsedBytes, UserDay};
use hezar_store::{Store, StoreError, UsageRow};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

mod list;
#[cfg(test)]
mod tests;

pub(crate) use list::list;

/// How often growth is written: as much may be lost when the program is killed.
const EVERY: Duration = Duration::from_secs(3);
/// How often it is looked whether growth is urgent.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Growth is urgent when it is such a share of what a quota had left.
const URGENT_SHARE: f64 = 0.01;
/// Days that are kept one by one.
const KEPT_DAYS: u32 = 400;

/// Writes what users have moved.
pub(crate) struct UsageSync {
    usage: Arc<Usage>,
    store: Arc<dyn Store>,
    clock: Clock,
    /// Held while something is written, so that each byte is written once.
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct Unwritten {
    /// What could not be written so far, at most one entry for each user and day.
    growth: BTreeMap<(UtcDay, Box<str>), UsedBytes>,
    /// The day for which the old days were folded together.
    folded: Option<UtcDay>,
    /// Whether the last write failed.
    failing: bool,
}

impl UsageSync {
    /// Takes in what `contents` holds: the store, or what has the same while the store cannot be read.
    ///
    /// # Errors
    /// The contents cannot be read.
    pub(crate) async fn open(
        usage: Arc<Usage>,
        store: Arc<dyn Store>,
        contents: &dyn Store,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let rows = contents.usage_totals().await?;
        usage.restore(rows.into_iter().map(|UsageRow { user, day, up, down }| {
            let bytes = UsedBytes { up, down };
            UserDay { user, day, bytes }
        }));
        Ok(Self { usage, store, clock, unwritten: Mutex::default() })
    }

    /// Writes what grows until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.write().await,
                () = self.due() => self.write().await,
            }
        }
    }

    /// Takes over what users have moved over all processes, as the store says it.
    pub(crate) async fn adopt(&self, rows: Vec<UsageRow>) {
        // While nothing is being written, what is written and what is not is certain.
        let unwritten = self.unwritten.lock().await;
        for UsageRow { user, day, up, down } in rows {
            let waiting = unwritten.growth.get(&(day, user.clone())).copied();
            // A write that failed may have been committed, and what waits would count twice. When it is written the row is read again.
            if unwritten.failing && waiting.is_some() {
                continue;
            }
            self.usage.adopt(UserDay { user, day, bytes: UsedBytes { up, down } }, waiting.unwrap_or_default());
        }
    }

    /// Waits until growth is to be written: every few seconds, and sooner where other processes share a quota that comes to its end.
    async fn due(&self) {
        if self.store.shared().is_none() {
            return sleep(EVERY).await;
        }
        let until = Instant::now() + EVERY;
        while Instant::now() < until {
            sleep(LOOK_EVERY).await;
            if self.usage.unwritten_share() >= URGENT_SHARE {
                return;
            }
        }
    }

    /// Writes what has grown. What cannot be written now is written with the rest later.
    pub(crate) async fn write(&self) {
        let mut unwritten = self.unwritten.lock().await;
        let now = self.clock.now();
        for UserDay { user, day, bytes } in self.usage.take_growth(now) {
            let waiting = unwritten.growth.entry((day, user)).or_default();
            waiting.up = waiting.up.saturating_add(bytes.up);
            waiting.down = waiting.down.saturating_add(bytes.down);
        }
        let written = self.write_waiting(&mut unwritten, UtcDay::containing(now)).await;
        match written {
            Ok(()) => unwritten.failing = false,
            Err(error) if !unwritten.failing => {
                unwritten.failing = true;
                tracing::error!(%error, code = error.code(), "what users have moved cannot be written; it is tried again");
            }
            Err(_) => {}
        }
    }

    async fn write_waiting(&self, unwritten: &mut Unwritten, today: UtcDay) -> Result<(), StoreError> {
        if !unwritten.growth.is_empty() {
            let rows = unwritten.growth.iter().map(|((day, user), bytes)| UsageRow {
                user: user.clone(),
                day: *day,
                up: bytes.up,
                down: bytes.down,
            });
            self.store.add_usage(&rows.collect::<Vec<_>>()).await?;
            unwritten.growth.clear();
        }
        if unwritten.folded != Some(today) {
            self.store.fold_usage(UtcDay(today.0.saturating_sub(KEPT_DAYS))).await?;
            unwritten.folded = Some(today);
        }
        Ok(())
    }
}
