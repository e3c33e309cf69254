//! Where several gateways serve the same users: they agree on where a session comes out before its first request is sent.

use std::time::Duration;

use hezar_core::Country;
use hezar_pool::Pinned;
use tokio::time::timeout;

use super::{Failover, sticky::Sticky};
use crate::Session;

/// How long the first request of a session waits for the table that gateways share. Without an answer it goes on alone.
const PATIENCE: Duration = Duration::from_millis(50);

impl Failover {
    /// Enters a session that begins with this request in the table of all gateways, with the exit that it would have here. If another
    /// gateway has begun it, it comes out where it does there. Does nothing before a node is found, and nothing for a session that runs.
    pub(super) async fn share_session(&mut self) {
        let Some(shared) = self.selection.shared_sessions.clone() else { return };
        let (Sticky::Session(planned), now) = (&self.sticky, self.selection.clock.now()) else { return };
        if self.attempts > 0 || self.selection.sessions.get(planned.id(), now).is_some() {
            return;
        }
        let Some((country, pinned)) = self.pin_planned() else { return };
        let planned = Session { country, ..Session::clone(planned) };
        let Ok(Some(entered)) = timeout(PATIENCE, shared.enter(&planned, pinned)).await else { return };
        if entered.session.began == planned.began {
            return;
        }
        if let Some(pinned) = entered.pinned {
            self.selection.pool.pin(entered.session.pool_key(), pinned);
        }
        self.selection.sessions.restore(entered.session.clone(), now);
        self.sticky = Sticky::Session(Box::new(entered.session));
    }

    /// Pins a session that has not begun, and says to what, in the first country that has a node for it.
    fn pin_planned(&self) -> Option<(Option<Country>, Pinned)> {
        let pin_in = |country| {
            let key = self.sticky.key_in(country)?;
            let _lease = self.pick_for(self.need, country, Some(key))?;
            Some((country, self.selection.pool.pinned(key)?))
        };
        match self.countries.as_slice() {
            [] => pin_in(None),
            countries => countries.iter().find_map(|country| pin_in(Some(*country))),
        }
    }
}
