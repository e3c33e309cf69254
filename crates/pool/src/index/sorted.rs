//! A sorted set of numbers as a tree of three levels: a copy shares nearly all of it, and a change copies one run of each level.

use std::sync::Arc;

/// The sorted set. A set of a million numbers has some eighty branches, so that its copy is a short list of pointers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorted {
    tree: Level<Level<Chunk, 64>, { usize::MAX }>,
}

/// A part of the set: numbers in order.
trait Run: Clone {
    /// How many entries it may have: numbers, or runs of its own.
    const MOST: usize;
    /// How many numbers it gets when the set is built at once: the first changes find room.
    const FILLED: usize;

    fn from_sorted(keys: &[u64]) -> Self;
    /// The least number; none when it is empty.
    fn first(&self) -> Option<u64>;
    fn last(&self) -> Option<u64>;
    fn entries(&self) -> usize;
    /// Adds a number that is not there. There is room for one more entry; `is_last` says that no run of the set lies behind this one.
    fn insert(&mut self, key: u64, is_last: bool);
    /// Takes out a number that is there.
    fn remove(&mut self, key: u64);
    /// Keeps the lower half and returns the upper one.
    fn split_off(&mut self) -> Self;
    /// Takes in the run that lies behind this one.
    fn append(&mut self, next: &Self);
    /// The least number from `key` (inclusive) upwards.
    fn at_or_after(&self, key: u64) -> Option<u64>;
    /// The numbers from `key` (inclusive) upwards.
    fn from(&self, key: u64) -> impl Iterator<Item = u64>;
}

impl Sorted {
    /// Adds many numbers, in any order. When they are many beside those that are there, the set is built anew.
    pub(crate) fn insert_all(&mut self, mut keys: Vec<u64>) {
        if keys.len() < self.chunk_count() * Chunk::STEP {
            return keys.into_iter().for_each(|key| self.insert(key));
        }
        keys.extend(self.from(0));
        keys.sort_unstable();
        keys.dedup();
        self.tree = Level::from_sorted(&keys);
    }

    pub(crate) fn insert(&mut self, key: u64) {
        if !self.contains(key) {
            self.tree.insert(key, true);
        }
    }

    pub(crate) fn remove(&mut self, key: u64) {
        if self.contains(key) {
            self.tree.remove(key);
        }
    }

    fn contains(&self, key: u64) -> bool {
        self.tree.at_or_after(key) == Some(key)
    }

    /// The least number from `key` (inclusive) upwards, or else the least of all.
    pub(crate) fn at_or_after(&self, key: u64) -> Option<u64> {
        self.tree.at_or_after(key).or_else(|| self.tree.first())
    }

    /// The numbers from `key` (inclusive) upwards.
    pub(crate) fn from(&self, key: u64) -> impl Iterator<Item = u64> {
        self.tree.from(key)
    }

    pub(crate) fn chunk_count(&self) -> usize {
        self.tree.runs.iter().map(|branch| branch.entries()).sum()
    }

    #[cfg(test)]
    pub(crate) fn branch_count(&self) -> usize {
        self.tree.runs.len()
    }
}

/// The lowest level.
#[derive(Clone, Debug)]
struct Chunk(Vec<u64>);

impl Chunk {
    /// By how many numbers its room grows. Doubling it would leave a quarter of all room empty.
    const STEP: usize = Self::MOST / 8;
}

impl Run for Chunk {
    /// A copy is 2 KiB.
    const MOST: usize = 256;
    const FILLED: usize = Self::MOST / 8 * 7;

    fn from_sorted(keys: &[u64]) -> Self {
        Self(keys.to_vec())
    }

    fn first(&self) -> Option<u64> {
        self.0.first().copied()
    }

    fn last(&self) -> Option<u64> {
        self.0.last().copied()
    }

    fn entries(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, key: u64, _: bool) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(Self::STEP);
        }
        self.0.insert(self.0.partition_point(|held| *held < key), key);
    }

    fn remove(&mut self, key: u64) {
        if let Ok(at) = self.0.binary_search(&key) {
            self.0.remove(at);
        }
    }

    fn split_off(&mut self) -> Self {
        Self(self.0.split_off(self.0.len() / 2))
    }

    fn append(&mut self, next: &Self) {
        self.0.extend_from_slice(&next.0);
    }

    fn at_or_after(&self, key: u64) -> Option<u64> {
        self.0.get(self.0.partition_point(|held| *held < key)).copied()
    }

    fn from(&self, key: u64) -> impl Iterator<Item = u64> {
        self.0.iter().copied().skip(self.0.partition_point(|held| *held < key))
    }
}

/// A level above: runs in order, at most `N` of them.
#[derive(Clone, Debug)]
struct Level<R, const N: usize> {
    /// The first number of every run, so that a search touches one run only.
    firsts: Vec<u64>,
    /// Never empty ones.
    runs: Vec<Arc<R>>,
}

impl<R, const N: usize> Default for Level<R, N> {
    fn default() -> Self {
        Self { firsts: Vec::new(), runs: Vec::new() }
    }
}

impl<R: Run, const N: usize> Level<R, N> {
    /// The run in which a number is or would be.
    fn run_of(&self, key: u64) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    /// Puts a run, which is not empty, at a place among the others.
    fn put(&mut self, index: usize, run: R) {
        let Some(first) = run.first() else { return };
        self.firsts.insert(index, first);
        self.runs.insert(index, Arc::new(run));
    }

    /// Makes room for a number in a full run. Behind the last number of all a run of its own begins, so that runs which are
    /// filled in order stay full.
    fn split(&mut self, index: usize, key: u64, is_last: bool) {
        let Some(run) = self.runs.get_mut(index) else { return };
        let behind_all = is_last && run.last() < Some(key);
        let upper = if behind_all { R::from_sorted(&[key]) } else { Arc::make_mut(run).split_off() };
        self.put(index + 1, upper);
    }

    /// Joins a small run with the next one when they fit together, so that removals do not leave dust.
    fn join_next(&mut self, index: usize) {
        let Some(next) = self.runs.get(index + 1) else { return };
        if self.runs[index].entries() + next.entries() > R::MOST / 2 {
            return;
        }
        let next = self.runs.remove(index + 1);
        self.firsts.remove(index + 1);
        Arc::make_mut(&mut self.runs[index]).append(&next);
    }
}

impl<R: Run, const N: usize> Run for Level<R, N> {
    const MOST: usize = N;
    const FILLED: usize = (N / 8 * 7).saturating_mul(R::FILLED);

    fn from_sorted(keys: &[u64]) -> Self {
        let runs = keys.chunks(R::FILLED);
        Self {
            firsts: runs.clone().filter_map(|run| run.first().copied()).collect(),
            runs: runs.map(|run| Arc::new(R::from_sorted(run))).collect(),
        }
    }

    fn first(&self) -> Option<u64> {
        self.firsts.first().copied()
    }

    fn last(&self) -> Option<u64> {
        self.runs.last()?.last()
    }

    fn entries(&self) -> usize {
        self.runs.len()
    }

    fn insert(&mut self, key: u64, is_last: bool) {
        let index = self.run_of(key);
        let is_last = is_last && index + 1 >= self.runs.len();
        let Some(run) = self.runs.get_mut(index) else {
            return self.put(0, R::from_sorted(&[key]));
        };
        if run.entries() < R::MOST {
            let run = Arc::make_mut(run);
            run.insert(key, is_last);
            self.firsts[index] = self.firsts[index].min(key);
            return;
        }
        self.split(index, key, is_last);
        if self.firsts[index + 1] != key {
            self.insert(key, is_last);
        }
    }

    fn remove(&mut self, key: u64) {
        let index = self.run_of(key);
        let Some(run) = self.runs.get_mut(index) else { return };
        let run = Arc::make_mut(run);
        run.remove(key);
        let Some(first) = run.first() else {
            self.runs.remove(index);
            self.firsts.remove(index);
            return;
        };
        let is_small = run.entries() < R::MOST / 8;
        self.firsts[index] = first;
        if is_small {
            self.join_next(index);
            self.join_next(index.saturating_sub(1));
        }
    }

    fn split_off(&mut self) -> Self {
        let half = self.runs.len() / 2;
        Self { firsts: self.firsts.split_off(half), runs: self.runs.split_off(half) }
    }

    fn append(&mut self, next: &Self) {
        self.firsts.extend_from_slice(&next.firsts);
        self.runs.extend_from_slice(&next.runs);
    }

    fn at_or_after(&self, key: u64) -> Option<u64> {
        let index = self.run_of(key);
        let in_run = self.runs.get(index)?.at_or_after(key);
        in_run.or_else(|| self.firsts.get(index + 1).copied())
    }

    fn from(&self, key: u64) -> impl Iterator<Item = u64> {
        self.runs.iter().skip(self.run_of(key)).flat_map(move |run| run.from(key))
    }
}
