//! What another process has measured of a node, taken over from the store that both share.

use std::sync::atomic::Ordering::Relaxed;

use hezar_core::{ExitKey, Record, State, Timestamp};

use super::{Node, facts::Observed, micros};

impl<D> Node<D> {
    /// Takes over a record that another process has measured.
    ///
    /// What only probes measure (latency, exit, abilities, quarantine) is taken as it is: the store never goes back to an older
    /// record. The health is taken when it is at least as new as the evidence known here, since requests of clients of this
    /// process may know better. A node that is `measured_here` takes nothing that is not newer than what this process knows: it
    /// may be its own record, read back while a newer one waits to be written.
    pub(crate) fn adopt(&self, record: &Record, measured_here: bool, now: Timestamp) -> Observed {
        let record = record.clone().no_later_than(now);
        let mut facts = self.facts();
        let known = facts.last_checked();
        if measured_here && record.last_checked <= known {
            return Observed::default();
        }
        let before = (self.class(), self.country(), self.exit.load(Relaxed), self.http_ability().anonymity());
        facts.adopt_exit(&record);
        facts.set_quarantine(record.quarantine);
        self.set_quarantined(record.quarantine.is_some());
        let measured = record.last_checked.unwrap_or(now);
        self.latency.set(record.latency.map(micros), measured);
        self.exit.store(record.exit_ip.map_or(0, |ip| ExitKey::from_ip(ip).number()), Relaxed);
        self.country.store(record.country.map_or(0, u16::from_be_bytes), Relaxed);
        self.http_ability.store(record.http_ability.byte(), Relaxed);
        self.last_success.fetch_max(record.last_ok.map_or(0, |time| time.0), Relaxed);
        if record.last_checked >= known {
            facts.adopt_health(&record, now);
            self.errors.set(record.last_checked.map(|_| record.error_rate.clamp(0.0, 1.0)), measured);
            self.set_state(record.state);
            if record.state == State::Healthy && record.last_checked > known {
                self.circuit.close();
            }
        }
        drop(facts);
        if self.state() == State::Dead {
            self.reset_payload();
        }
        let after = (self.class(), self.country(), self.exit.load(Relaxed), self.http_ability().anonymity());
        Observed {
            counted: true,
            state: before.0 != after.0,
            moved: before != after || (self.state().routable() && self.drifted()),
        }
    }
}
