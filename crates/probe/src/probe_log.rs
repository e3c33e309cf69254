//! The last probes of each node, for whoever wants to see how it came to its state.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::{Code, NodeId, Stage, Timestamp};
use parking_lot::Mutex;

use crate::ProbeResult;

type Map<K, V> = HashMap<K, V, ahash::RandomState>;

/// One probe of a node, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedProbe {
    /// When it ended, in whole seconds.
    pub at: Timestamp,
    /// What it found: [`ProbeResult::Gone`] and [`ProbeResult::Unsupported`] do not appear.
    pub result: ProbeResult,
}

/// The last probes of the nodes; clones share them. At most 16 MiB of probes and as much for the table of nodes, however many
/// nodes there are: beyond that a node that has none yet gets none, and one that has some keeps as many as it has.
#[derive(Clone, Debug, Default)]
pub struct ProbeLog(Arc<Mutex<Tables>>);

impl ProbeLog {
    /// The most probes remembered of a node that has worked.
    pub const PER_NODE: usize = 50;
    /// The most probes remembered of a node that has never worked.
    pub const PER_FAILING_NODE: usize = 4;
    /// The most probes remembered in all.
    pub const MOST_PROBES: usize = 2 << 20;
    /// The most nodes of which probes are remembered.
    pub const MOST_NODES: usize = 256 << 10;
    /// Of both bounds, one in so many is the share of nodes that have never worked: most of a large list has not.
    const FAILING_SHARE: usize = 4;

    /// Notes how a probe ended. `worked` says whether the node has ever worked.
    pub fn note(&self, id: NodeId, result: ProbeResult, worked: bool, at: Timestamp) {
        let mut tables = self.0.lock();
        if let Some(entry) = tables.codes.pack(result, at) {
            tables.push(id, entry, worked || matches!(result, ProbeResult::Works(_)));
        }
    }

    /// Forgets a node.
    pub fn forget(&self, id: NodeId) {
        let mut tables = self.0.lock();
        if let Some(ring) = tables.nodes.remove(&id) {
            let counts = tables.counts_mut(ring.worked);
            counts.nodes -= 1;
            counts.probes -= ring.entries.len();
        }
    }

    /// The remembered probes of a node, the newest in front.
    #[must_use]
    pub fn of_node(&self, id: NodeId) -> Vec<LoggedProbe> {
        let tables = self.0.lock();
        let entries = tables.nodes.get(&id).map_or(&[][..], |ring| &ring.entries);
        entries.iter().rev().filter_map(|entry| tables.codes.unpack(*entry)).collect()
    }
}

#[derive(Debug, Default)]
struct Tables {
    nodes: Map<NodeId, NodeProbes>,
    worked: Counts,
    failing: Counts,
    codes: Codes,
}

/// The probes of one node, the oldest in front.
#[derive(Debug)]
struct NodeProbes {
    entries: Vec<Entry>,
    worked: bool,
}

/// What one kind of nodes takes.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    nodes: usize,
    probes: usize,
}

impl Tables {
    const fn counts_mut(&mut self, worked: bool) -> &mut Counts {
        if worked { &mut self.worked } else { &mut self.failing }
    }

    /// Whether one more node, or one more probe, has room.
    const fn has_room(&self, worked: bool) -> (bool, bool) {
        let share = if worked { 1 } else { ProbeLog::FAILING_SHARE };
        let (nodes, probes) = (ProbeLog::MOST_NODES / share, ProbeLog::MOST_PROBES / share);
        let all =
            Counts { nodes: self.worked.nodes + self.failing.nodes, probes: self.worked.probes + self.failing.probes };
        let own = if worked { all } else { self.failing };
        let (node, probe) = (own.nodes < nodes, own.probes < probes);
        (node && all.nodes < ProbeLog::MOST_NODES, probe && all.probes < ProbeLog::MOST_PROBES)
    }

    fn push(&mut self, id: NodeId, entry: Entry, worked: bool) {
        self.promote(id, worked);
        let (room_for_node, room_for_probe) = self.has_room(worked);
        let Some(ring) = self.nodes.get_mut(&id) else {
            if room_for_node && room_for_probe {
                self.nodes.insert(id, NodeProbes { entries: vec![entry], worked });
                let counts = self.counts_mut(worked);
                counts.nodes += 1;
                counts.probes += 1;
            }
            return;
        };
        let most = if ring.worked { ProbeLog::PER_NODE } else { ProbeLog::PER_FAILING_NODE };
        if ring.entries.len() < most && room_for_probe {
            ring.entries.push(entry);
            let worked = ring.worked;
            self.counts_mut(worked).probes += 1;
            return;
        }
        ring.entries.rotate_left(1);
        if let Some(last) = ring.entries.last_mut() {
            *last = entry;
        }
    }

    /// A node that works for the first time changes its kind.
    fn promote(&mut self, id: NodeId, worked: bool) {
        let Some(ring) = self.nodes.get_mut(&id).filter(|ring| worked && !ring.worked) else { return };
        ring.worked = true;
        let probes = ring.entries.len();
        self.failing.nodes -= 1;
        self.failing.probes -= probes;
        self.worked.nodes += 1;
        self.worked.probes += probes;
    }
}

/// One probe in eight bytes: the second in which it ended (32 bits); then one bit that is set for success, with the time that it
/// took in microseconds, or the kind of failure (3 bits), the stage (4 bits) and the number of the code.
#[derive(Clone, Copy, Debug)]
struct Entry {
    second: u32,
    result: u32,
}

const WORKS: u32 = 1 << 31;
const KIND: u32 = 28;
const STAGE: u32 = 24;
const CODE: u32 = (1 << STAGE) - 1;
const FAILED: u32 = 0;
const HELD_BACK: u32 = 1;
const TAMPERED: u32 = 2;
const INCONCLUSIVE: u32 = 3;
const PANICKED: u32 = 4;

/// The codes that entries name by number.
#[derive(Debug, Default)]
struct Codes {
    list: Vec<Code>,
    numbers: Map<Code, u32>,
}

impl Codes {
    fn number_of(&mut self, code: Code) -> u32 {
        let next = self.list.len() as u32;
        *self.numbers.entry(code).or_insert_with(|| {
            self.list.push(code);
            next
        })
    }

    fn code(&self, number: u32) -> Option<Code> {
        self.list.get(number as usize).copied()
    }

    fn pack(&mut self, result: ProbeResult, at: Timestamp) -> Option<Entry> {
        let result = match result {
            ProbeResult::Works(time) => WORKS | u32::try_from(time.as_micros()).unwrap_or(u32::MAX).min(WORKS - 1),
            ProbeResult::Failed { stage, code, counted } => {
                let kind = if counted { FAILED } else { HELD_BACK };
                (kind << KIND) | ((stage as u32) << STAGE) | self.number_of(code)
            }
            ProbeResult::Tampered(code) => (TAMPERED << KIND) | self.number_of(code),
            ProbeResult::Inconclusive(code) => (INCONCLUSIVE << KIND) | self.number_of(code),
            ProbeResult::Panicked => PANICKED << KIND,
            ProbeResult::Unsupported(_) | ProbeResult::Gone => return None,
        };
        Some(Entry { second: u32::try_from(at.0 / 1000).unwrap_or(u32::MAX), result })
    }

    fn unpack(&self, Entry { second, result }: Entry) -> Option<LoggedProbe> {
        let at = Timestamp(u64::from(second) * 1000);
        if result & WORKS != 0 {
            let time = Duration::from_micros((result & !WORKS).into());
            return Some(LoggedProbe { at, result: ProbeResult::Works(time) });
        }
        let code = || self.code(result & CODE);
        let stage = || Stage::ALL.iter().find(|stage| **stage as u32 == (result >> STAGE) & 15).copied();
        let result = match result >> KIND {
            PANICKED => ProbeResult::Panicked,
            TAMPERED => ProbeResult::Tampered(code()?),
            INCONCLUSIVE => ProbeResult::Inconclusive(code()?),
            kind => ProbeResult::Failed { stage: stage()?, code: code()?, counted: kind == FAILED },
        };
        Some(LoggedProbe { at, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> NodeId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn works(n: u64) -> ProbeResult {
        ProbeResult::Works(Duration::from_micros(n))
    }

    const FAILS: ProbeResult = ProbeResult::Failed { stage: Stage::Connect, code: Code::new("refused"), counted: true };

    #[test]
    fn an_entry_takes_eight_bytes_and_says_what_was_noted() {
        assert_eq!(size_of::<Entry>(), 8);
        let log = ProbeLog::default();
        let mut noted = vec![works(12_345), FAILS, ProbeResult::Tampered(Code::new("changed")), ProbeResult::Panicked];
        noted.push(ProbeResult::Inconclusive(Code::new("no-files")));
        for stage in Stage::ALL {
            noted.push(ProbeResult::Failed { stage, code: Code::new("timeout"), counted: false });
        }
        for (second, result) in (1..).zip(&noted) {
            log.note(id(1), *result, true, Timestamp(second * 1000));
        }
        log.note(id(1), ProbeResult::Gone, true, Timestamp(1));
        let mut read = log.of_node(id(1));
        read.reverse();
        let expected: Vec<_> =
            (1..).zip(noted).map(|(second, result)| LoggedProbe { at: Timestamp(second * 1000), result }).collect();
        assert_eq!(read, expected);
        log.forget(id(1));
        assert!(log.of_node(id(1)).is_empty());
    }

    #[test]
    fn a_node_that_works_keeps_fifty_and_one_that_never_did_a_few() {
        let log = ProbeLog::default();
        for n in 0..99 {
            log.note(id(1), works(n), true, Timestamp(n * 1000));
            log.note(id(2), FAILS, false, Timestamp(n * 1000));
        }
        let kept = log.of_node(id(1));
        assert_eq!((kept.len(), kept[0].result, kept[49].result), (ProbeLog::PER_NODE, works(98), works(49)));
        assert_eq!(log.of_node(id(2)).len(), ProbeLog::PER_FAILING_NODE);
        (0..9).for_each(|n| log.note(id(2), works(n), false, Timestamp(n)));
        assert_eq!(log.of_node(id(2)).len(), ProbeLog::PER_FAILING_NODE + 9, "it works now");
    }

    #[test]
    fn a_million_nodes_stay_within_the_bounds_and_those_that_work_have_room() {
        let log = ProbeLog::default();
        let failing = u32::try_from(ProbeLog::MOST_NODES).unwrap();
        for round in 0..2 {
            (0..failing).for_each(|n| log.note(id(n), FAILS, false, Timestamp(round)));
        }
        (failing..2 * failing).for_each(|n| log.note(id(n), works(1), true, Timestamp(1)));
        {
            let tables = log.0.lock();
            assert_eq!(tables.failing.nodes, ProbeLog::MOST_NODES / ProbeLog::FAILING_SHARE);
            assert_eq!(tables.nodes.len(), ProbeLog::MOST_NODES);
            let probes: usize = tables.nodes.values().map(|ring| ring.entries.len()).sum();
            assert_eq!(probes, tables.worked.probes + tables.failing.probes);
        }
        (0..2 * failing).for_each(|n| log.forget(id(n)));
        let tables = log.0.lock();
        assert_eq!((tables.worked.probes, tables.failing.probes, tables.nodes.len()), (0, 0, 0));
    }
}
