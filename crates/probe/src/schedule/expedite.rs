//! Brings probes forward: because somebody asks for them, or because something says that a node may be back.

use std::cmp::Reverse;

use hezar_core::{NodeId, Timestamp};
use hezar_pool::State;

use super::{Schedule, table::ScheduledNode};
use crate::intervals::fraction;

impl Schedule {
    /// Makes a node due now and the first in line, unless its probe runs already; says whether it is in the schedule.
    pub fn demand(&mut self, id: NodeId, now: Timestamp) -> bool {
        let Some(slot) = self.entries.slot_of(id) else { return false };
        if let Some(entry) = self.entries.at_mut(slot).filter(|entry| !entry.running) {
            entry.demanded = true;
            self.queue(slot, None, now);
        }
        true
    }

    /// Brings forward the dead nodes that `fits` names: after a time without any working node the first success says
    /// that the others may be back too. They are spread over one interval.
    pub fn expedite_dead(&mut self, now: Timestamp, fits: impl Fn(NodeId) -> bool, mut random: impl FnMut() -> u64) {
        let dead = self.entries.iter().filter(|(_, entry)| !entry.running && entry.state == State::Dead);
        let dead: Vec<_> = dead.filter(|(_, entry)| fits(entry.id)).map(|(slot, _)| slot).collect();
        for slot in dead {
            let within = self.intervals.interval.mul_f32(fraction(random()));
            self.queue(slot, Some(now.after(within)), now);
        }
    }

    /// Brings a dead node forward because somebody says that it works: it is looked at within one interval.
    pub fn expedite_one(&mut self, id: NodeId, now: Timestamp, random: u64) {
        let soon = now.after(self.intervals.interval.mul_f32(fraction(random)));
        let Some(slot) = self.entries.slot_of(id) else { return };
        let waits = |entry: &ScheduledNode| !entry.running && entry.state == State::Dead && entry.due > soon;
        if self.entries.at(slot).is_some_and(waits) {
            self.queue(slot, Some(soon), now);
        }
    }

    /// Brings forward the nodes whose last probe proved nothing: now it will. They are spread a little.
    pub fn expedite_undecided(&mut self, now: Timestamp, mut random: impl FnMut() -> u64) {
        let within = self.intervals.suspect.min(self.intervals.interval) / 4;
        let mut unproven = Vec::new();
        for (slot, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.misses > 0) {
            entry.misses = 0;
            if !entry.running {
                unproven.push(slot);
            }
        }
        for slot in unproven {
            self.queue(slot, Some(now.after(within.mul_f32(fraction(random())))), now);
        }
    }

    /// Makes the next `count` nodes due whose pause would end first.
    pub fn advance(&mut self, count: usize, now: Timestamp) {
        let mut left = count;
        while left > 0 {
            let Some(Reverse((_, stamp, slot))) = self.waiting.pop() else { return };
            if self.entries.at(slot).is_some_and(|entry| entry.stamp == stamp) {
                self.queue(slot, None, now);
                left -= 1;
            }
        }
    }
}
