//! What a pool says of its nodes beside what the lab knows of them: how often it calls a bad node healthy, or a good one dead.

use std::{fmt, iter::Peekable, time::Duration};

use hezar_lab::{FaultChanges, FaultSchedule};

/// What a pool calls a node; `None` stands for every other state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It may carry traffic and is thought to be well.
    Healthy,
    /// It carries nothing until it has been probed with success.
    Dead,
}

impl Called {
    /// From a state as the API names it.
    #[must_use]
    pub fn from_state(state: &str) -> Option<Self> {
        match state {
            "healthy" => Some(Self::Healthy),
            "dead" => Some(Self::Dead),
            _ => None,
        }
    }
}

/// How often a pool was wrong, in looks at single nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Looks at nodes that were called healthy.
    pub healthy: u64,
    /// How many of these nodes were bad.
    pub healthy_and_bad: u64,
    /// Looks at nodes that were good.
    pub good: u64,
    /// How many of these were called dead.
    pub good_and_dead: u64,
}

impl Errors {
    fn note(&mut self, called: Option<Called>, good: bool) {
        if called == Some(Called::Healthy) {
            self.healthy += 1;
            self.healthy_and_bad += u64::from(!good);
        }
        if good {
            self.good += 1;
            self.good_and_dead += u64::from(called == Some(Called::Dead));
        }
    }

    /// Of the nodes called healthy the share that is bad, in per cent.
    #[must_use]
    pub fn bad_among_healthy(&self) -> f64 {
        percent(self.healthy_and_bad, self.healthy)
    }

    /// Of the good nodes the share that is called dead, in per cent.
    #[must_use]
    pub fn dead_among_good(&self) -> f64 {
        percent(self.good_and_dead, self.good)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (healthy, dead) = (self.bad_among_healthy(), self.dead_among_good());
        write!(f, "{healthy:>6.3} % of those called healthy are bad, {dead:>6.3} % of the good ones are called dead")
    }
}

/// What one node is, and since when.
#[derive(Clone, Copy, Debug)]
struct Known {
    good: bool,
    since: Duration,
}

/// Follows the schedule of faults and compares the pool with it.
#[derive(Debug)]
pub struct Observer {
    turns: Peekable<FaultChanges>,
    nodes: Vec<Known>,
    settles_after: Duration,
    /// Over nodes that have not turned for an interval and a timeout of the prober.
    pub settled: Errors,
    /// Over all nodes at all times.
    pub overall: Errors,
}

impl Observer {
    /// Nodes under this schedule of faults, all good before it begins; a node counts as settled `settles_after` its last turn.
    #[must_use]
    pub fn new(schedule: &FaultSchedule, nodes: usize, settles_after: Duration) -> Self {
        Self {
            turns: schedule.changes(nodes).peekable(),
            nodes: vec![Known { good: true, since: Duration::ZERO }; nodes],
            settles_after,
            settled: Errors::default(),
            overall: Errors::default(),
        }
    }

    /// Takes a look: what the pool calls every node at this time after the schedule began. A node that the pool does not know
    /// has no name.
    pub fn look(&mut self, at: Duration, called: impl Fn(usize) -> Option<Called>) {
        while let Some(turn) = self.turns.next_if(|turn| turn.at <= at) {
            let good = turn.fault.serves();
            if let Some(known) = self.nodes.get_mut(turn.node).filter(|known| known.good != good) {
                *known = Known { good, since: turn.at };
            }
        }
        for (node, known) in self.nodes.iter().enumerate() {
            let called = called(node);
            self.overall.note(called, known.good);
            if at.saturating_sub(known.since) >= self.settles_after {
                self.settled.note(called, known.good);
            }
        }
    }

    /// Whether a node is good, as of the last look.
    #[must_use]
    pub fn is_good(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|known| known.good)
    }
}

#[cfg(test)]
mod tests {
    use hezar_lab::Fault;

    use super::*;

    #[test]
    fn looks_are_compared_with_the_schedule() {
        let schedule = FaultSchedule { seed: 3, bad: 0.5, dwell: Duration::from_secs(60), faults: vec![Fault::Mute] };
        let first: Vec<bool> = schedule.changes(100).take(100).map(|turn| turn.fault.serves()).collect();
        let bad = first.iter().filter(|good| !**good).count() as u64;
        let mut observer = Observer::new(&schedule, 100, Duration::from_secs(15));
        observer.look(Duration::ZERO, |_| Some(Called::Healthy));
        assert_eq!((observer.overall.healthy, observer.overall.healthy_and_bad), (100, bad));
        assert_eq!(observer.overall.bad_among_healthy(), bad as f64);
        assert_eq!(observer.settled, Errors::default(), "nobody is settled at once");
        observer.look(Duration::ZERO, |_| Some(Called::Dead));
        assert_eq!((observer.overall.good, observer.overall.good_and_dead), (2 * (100 - bad), 100 - bad));
        let mut silent = Observer::new(&schedule, 100, Duration::from_secs(15));
        (0..600).for_each(|second| silent.look(Duration::from_secs(second), |_| None));
        assert!(silent.settled.good > 0 && silent.settled.good < silent.overall.good);
        assert_eq!(silent.overall.healthy, 0);
    }
}
