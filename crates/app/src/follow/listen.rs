//! What runs beside the readings: hearing of changes, and what is to be done from time to time.

use std::time::Duration;

use hezar_store::{StoreError, Wake};
use tokio::time::{Instant, sleep};

use super::{FIRST_PAUSE, Follower, LONGEST_PAUSE, POLL};

/// How often removals of long ago are cleared away, and the database's clock is read.
const HOUSEKEEPING: Duration = Duration::from_secs(600);
const CLOCK_EVERY: Duration = Duration::from_secs(30);
/// How often the pool ends bans, where another process forgets nodes.
const ADVANCE_EVERY: Duration = Duration::from_secs(60);

impl Follower {
    /// Hears of changes, without end.
    pub(super) async fn listen(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            if let Err(error) = self.hear().await {
                tracing::debug!(%error, "notifications are not heard: changes are looked for every {} s", POLL.as_secs());
            }
            pause = if began.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    }

    async fn hear(&self) -> Result<(), StoreError> {
        let mut listener = self.shared.listen().await?;
        // What has changed before.
        self.wakes.notify_one();
        loop {
            match listener.next().await? {
                Wake::Changed => self.wakes.notify_one(),
                Wake::Suspected(nodes) => self.suspicion.look_at(nodes),
            }
        }
    }

    /// What is to be done from time to time, without end.
    pub(super) async fn keep_house(&self) {
        let (mut clears, mut advances) = (Instant::now() + HOUSEKEEPING, Instant::now() + ADVANCE_EVERY);
        loop {
            sleep(CLOCK_EVERY).await;
            let _ = self.database_clock.learn(&*self.shared, self.clock).await;
            if Instant::now() >= advances && !self.forgets_nodes {
                self.nodes.pool.advance(self.clock.now());
                advances = Instant::now() + ADVANCE_EVERY;
            }
            if Instant::now() >= clears {
                // Any instance may do it, and it is done again.
                let _ = self.shared.clear_removals().await;
                clears = Instant::now() + HOUSEKEEPING;
            }
        }
    }
}
