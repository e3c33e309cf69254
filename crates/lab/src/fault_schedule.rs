//! Servers that turn bad and good at random, by a seed: the same seed gives the same schedule.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::Fault;

/// How the servers of a world behave over time.
///
/// Each server keeps what it does for a random time (exponential, mean `dwell`), then draws anew: bad with the
/// probability `bad`, in one of the ways of `faults`. So at any moment a share of `bad` is bad, and which ones is
/// forgotten within a few dwells.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSchedule {
    /// The same seed gives the same turns.
    pub seed: u64,
    /// The share of bad servers, 0 to 1.
    pub bad: f64,
    /// The mean time between two draws of one server.
    pub dwell: Duration,
    /// The ways to be bad, all equally likely.
    pub faults: Vec<Fault>,
}

/// A server changes what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultChange {
    /// When, from the beginning.
    pub at: Duration,
    /// Which one.
    pub node: usize,
    /// What it does from then on.
    pub fault: Fault,
}

impl FaultSchedule {
    /// The ways in which public proxies are found to fail: silent before or after the handshake, closing or resetting
    /// early or late, talking nonsense, gone.
    pub const PUBLIC: [Fault; 8] = [
        Fault::Mute,
        Fault::Hung,
        Fault::CloseOnData,
        Fault::AcceptThenClose,
        Fault::Reset,
        Fault::Garbage,
        Fault::Noise,
        Fault::Refused,
    ];

    /// Every turn of so many servers in the order of time, without an end. All draw once at the beginning.
    #[must_use]
    pub fn changes(&self, nodes: usize) -> FaultChanges {
        let random: Vec<_> = (0..nodes)
            .map(|node| StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(node as u64)))
            .collect();
        FaultChanges {
            schedule: self.clone(),
            random,
            next: (0..nodes).map(|node| Reverse((Duration::ZERO, node))).collect(),
        }
    }
}

/// See [`FaultSchedule::changes`].
#[derive(Debug)]
pub struct FaultChanges {
    schedule: FaultSchedule,
    random: Vec<StdRng>,
    next: BinaryHeap<Reverse<(Duration, usize)>>,
}

impl Iterator for FaultChanges {
    type Item = FaultChange;

    fn next(&mut self) -> Option<FaultChange> {
        let Reverse((at, node)) = self.next.pop()?;
        let random = self.random.get_mut(node)?;
        let bad = random.random::<f64>() < self.schedule.bad;
        let kind = random.random::<u64>();
        let faults = &self.schedule.faults;
        let kind = kind.checked_rem(faults.len() as u64).and_then(|kind| faults.get(usize::try_from(kind).ok()?));
        let fault = kind.copied().filter(|_| bad).unwrap_or_default();
        // Exponential: 1 - x lies in (0, 1].
        let dwells = -(1.0 - random.random::<f64>()).ln();
        let stay = self.schedule.dwell.mul_f64(dwells).max(Duration::from_millis(1));
        self.next.push(Reverse((at.saturating_add(stay), node)));
        Some(FaultChange { at, node, fault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let schedule =
            FaultSchedule { seed: 7, bad: 0.4, dwell: Duration::from_secs(4), faults: FaultSchedule::PUBLIC.to_vec() };
        let turns: Vec<_> = schedule.changes(40).take(20_000).collect();
        assert_eq!(turns, schedule.changes(40).take(20_000).collect::<Vec<_>>());
        assert_ne!(turns, FaultSchedule { seed: 8, ..schedule.clone() }.changes(40).take(20_000).collect::<Vec<_>>());
        assert!(turns.windows(2).all(|pair| pair[0].at <= pair[1].at), "in the order of time");
        let bad = turns.iter().filter(|turn| turn.fault != Fault::Healthy).count();
        assert!((7_400..8_600).contains(&bad), "{bad} of 20000 draws are bad");
        assert!(FaultSchedule::PUBLIC.iter().all(|fault| turns.iter().any(|turn| turn.fault == *fault)));
        // 40 servers, a draw every 4 s each: 20,000 draws take about 2,000 s.
        let end = turns.last().unwrap().at.as_secs();
        assert!((1_800..2_200).contains(&end), "{end}");
    }
}
