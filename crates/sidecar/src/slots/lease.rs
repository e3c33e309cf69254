//! The right to dial through a slot.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_engine::Cause;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::{SlotTable, table::SlotState};

/// How long a dial waits for a core that does not run.
const DOWN: Duration = Duration::from_secs(3);

/// A slot that has this node and no other one until this is dropped.
#[derive(Debug)]
pub(crate) struct SlotLease {
    table: Arc<SlotTable>,
    index: usize,
}

/// How a slot is reached that the core knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotAccess {
    /// The listener.
    pub(crate) address: SocketAddr,
    /// The user.
    pub(crate) user: Uuid,
    /// Which start of the core it is.
    pub(crate) start: u64,
}

impl SlotLease {
    pub(super) const fn new(table: Arc<SlotTable>, index: usize) -> Self {
        Self { table, index }
    }

    /// Waits until the core knows the node. While the core does not run that lasts a moment at most.
    ///
    /// # Errors
    /// [`Cause::CoreUnavailable`], [`Cause::CoreRefused`].
    pub(crate) async fn ready(&self) -> Result<SlotAccess, Cause> {
        let mut turns = self.table.turns();
        loop {
            // Seen before the look, so that no turn in between is missed.
            turns.borrow_and_update();
            match self.table.slot_state(self.index)? {
                SlotState::Known(access) => return Ok(access),
                // The table lives as long as this, so that there is a next turn.
                SlotState::Waiting => {
                    let _ = turns.changed().await;
                }
                SlotState::Down(since) => {
                    let next = timeout_at(since + DOWN, turns.changed()).await;
                    next.map(drop).map_err(|_| Cause::CoreUnavailable("it does not run"))?;
                }
            }
        }
    }

    /// Whether this start of the core still runs.
    pub(crate) fn is_current(&self, start: u64) -> bool {
        self.table.is_current(start)
    }
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.table.release(self.index);
    }
}
