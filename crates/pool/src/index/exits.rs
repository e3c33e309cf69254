//! The exits of a view: each takes turns as one, however many nodes are behind it.
//!
//! ```text
//!   row 0   first exit of every network        10.0.0.1   10.0.1.7   10.0.2.2      a turn walks the rows: neighbours
//!   row 1   second exit of those that have two 10.0.0.9              10.0.2.5      in it lie in different networks
//!   row 2   third …                            10.0.0.4
//! ```
//!
//! Readers see [`ExitTable`]; [`ExitTableWriter`] knows where each exit is in it, and changes it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use hezar_core::{ExitKey, NetworkKey};
use smallvec::SmallVec;

use super::{
    chunked::Chunked,
    slot_list::SlotList,
    sorted::Sorted,
    view::{key, slot_of},
};
use crate::node::ExitPlace;

/// The most rows. A /24 has no more exits; those of larger networks share the last row.
const ROWS: usize = 256;

/// The nodes behind one exit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    exit: Option<ExitKey>,
    /// None while the number is free.
    slots: SlotList,
}

type Row = Chunked<u32, 256>;

/// The exits of a view as readers see them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExitTable {
    /// Numbers of groups.
    rows: Vec<Arc<Row>>,
    /// The number of exits before each row.
    starts: Vec<u32>,
    len: usize,
    groups: Groups,
    /// By a hash of the exit (high half), with the number of its group (low half).
    by_exit: Sorted,
}

#[derive(Clone, Debug)]
struct Groups(Chunked<Group, 32>);

impl Default for Groups {
    fn default() -> Self {
        Self(Chunked::new())
    }
}

/// The place of an exit: its rank in its network is its row, the last one holding all the rest.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    rank: u32,
    index: u32,
}

/// The writers' side.
#[derive(Debug, Default)]
pub(crate) struct ExitTableWriter {
    networks: HashMap<NetworkKey, SmallVec<[u32; 4]>, ahash::RandomState>,
    places: Vec<Place>,
    free: Vec<u32>,
}

impl ExitTable {
    /// The number of exits.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The slots behind the exit whose turn it is, `turn` being below the length.
    pub(crate) fn nodes_at(&self, turn: usize) -> &[u32] {
        let row = self.starts.partition_point(|start| *start as usize <= turn).saturating_sub(1);
        let start = self.starts.get(row).map_or(0, |start| *start as usize);
        let group = self.rows.get(row).and_then(|row| row.get(turn - start)).and_then(|n| self.group(*n));
        group.map_or(&[], |group| group.slots.as_slice())
    }

    /// The slots behind an exit.
    pub(crate) fn nodes_behind(&self, exit: ExitKey) -> &[u32] {
        let group = self.number_of(exit).and_then(|number| self.group(number));
        group.map_or(&[], |group| group.slots.as_slice())
    }

    /// The number of an exit's group.
    fn number_of(&self, exit: ExitKey) -> Option<u32> {
        let hash = high(exit);
        let near = self.by_exit.from(key(hash, 0)).take_while(|entry| (*entry >> 32) as u32 == hash);
        near.map(slot_of).find(|number| self.group(*number).is_some_and(|group| group.exit == Some(exit)))
    }

    fn group(&self, number: u32) -> Option<&Group> {
        self.groups.0.get(number as usize)
    }

    fn group_mut(&mut self, number: u32, change: impl FnOnce(&mut Group)) {
        self.groups.0.update(number as usize, change);
    }

    fn row_mut(&mut self, row: usize) -> &mut Row {
        while self.rows.len() <= row {
            self.rows.push(Arc::new(Row::new()));
        }
        Arc::make_mut(&mut self.rows[row])
    }

    /// Counts the exits again after rows have changed.
    fn count(&mut self) {
        while self.rows.last().is_some_and(|row| row.len() == 0) {
            self.rows.pop();
        }
        self.starts.clear();
        let mut start = 0;
        for row in &self.rows {
            self.starts.push(start);
            start += row.len() as u32;
        }
        self.len = start as usize;
    }
}

impl ExitTableWriter {
    /// Adds a node, and its exit when it is the first one behind it.
    pub(crate) fn join(&mut self, exits: &mut ExitTable, slot: u32, at: ExitPlace) {
        if let Some(number) = exits.number_of(at.exit) {
            return exits.group_mut(number, |group| group.slots.push(slot));
        }
        let number = self.add_exit(exits, slot, at);
        exits.by_exit.insert(key(high(at.exit), number));
        exits.count();
    }

    /// Adds many nodes, as [`ExitTableWriter::join`] does one by one.
    pub(crate) fn join_all(&mut self, exits: &mut ExitTable, nodes: impl Iterator<Item = (u32, ExitPlace)>) {
        let known = (0..).zip(exits.groups.0.iter()).filter(|(_, group)| !group.slots.as_slice().is_empty());
        let mut numbers: HashMap<ExitKey, u32, ahash::RandomState> =
            known.filter_map(|(number, group)| Some((group.exit?, number))).collect();
        let mut added = Vec::new();
        for (slot, at) in nodes {
            match numbers.entry(at.exit) {
                Entry::Occupied(entry) => exits.group_mut(*entry.get(), |group| group.slots.push(slot)),
                Entry::Vacant(entry) => {
                    let number = self.add_exit(exits, slot, at);
                    entry.insert(number);
                    added.push(key(high(at.exit), number));
                }
            }
        }
        exits.by_exit.insert_all(added);
        exits.count();
    }

    /// Adds an exit with the first node behind it, and says its number; the number has still to be entered under the exit's key.
    fn add_exit(&mut self, exits: &mut ExitTable, slot: u32, at: ExitPlace) -> u32 {
        let number = self.free.pop().unwrap_or(self.places.len() as u32);
        if number as usize == self.places.len() {
            self.places.push(Place::default());
            exits.groups.0.push(Group::default());
        }
        exits.group_mut(number, |group| {
            *group = Group { exit: Some(at.exit), slots: SlotList::of_one(slot) };
        });
        let network = self.networks.entry(at.network).or_default();
        let rank = network.len() as u32;
        network.push(number);
        let row = exits.row_mut(row_of(rank));
        row.push(number);
        self.places[number as usize] = Place { rank, index: (row.len() - 1) as u32 };
        number
    }

    /// Removes a node, and its exit when it was the last one behind it.
    pub(crate) fn leave(&mut self, exits: &mut ExitTable, slot: u32, at: ExitPlace) {
        let Some(number) = exits.number_of(at.exit) else { return };
        let mut empty = false;
        exits.group_mut(number, |group| {
            group.slots.remove(slot);
            empty = group.slots.as_slice().is_empty();
        });
        if !empty {
            return;
        }
        exits.by_exit.remove(key(high(at.exit), number));
        self.remove_exit(exits, number, at.network);
        self.free.push(number);
        exits.count();
    }

    /// The last exit of the network moves into the free place, so that the ranks stay without gaps.
    fn remove_exit(&mut self, exits: &mut ExitTable, number: u32, network: NetworkKey) {
        let place = self.places[number as usize];
        let Some(members) = self.networks.get_mut(&network) else { return };
        let Some(last) = members.last().copied() else { return };
        members.swap_remove(place.rank as usize);
        if members.is_empty() {
            self.networks.remove(&network);
        }
        let left = self.places[last as usize];
        if last != number {
            exits.row_mut(row_of(place.rank)).set(place.index as usize, last);
            self.places[last as usize] = place;
        }
        let row = exits.row_mut(row_of(left.rank));
        row.swap_remove(left.index as usize);
        if let Some(moved) = row.get(left.index as usize).copied() {
            self.places[moved as usize].index = left.index;
        }
    }
}

const fn row_of(rank: u32) -> usize {
    let rank = rank as usize;
    if rank < ROWS { rank } else { ROWS - 1 }
}

const fn high(exit: ExitKey) -> u32 {
    (exit.number() >> 32) as u32
}
