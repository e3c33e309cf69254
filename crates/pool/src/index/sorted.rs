//! A sorted set of numbers in chunks: a copy shares all of them, and a change copies one.

use std::sync::Arc;

/// Numbers per chunk at most: a copy is 2 KiB.
const MOST: usize = 256;
/// Numbers per chunk of a set that is built at once: the first changes find room.
const FILLED: usize = MOST / 8 * 7;
/// By how many numbers the room of a chunk grows. Doubling it would leave a quarter of all room empty.
const STEP: usize = MOST / 8;

/// The sorted set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorted {
    /// The first number of every chunk, so that a search touches one chunk only.
    firsts: Vec<u64>,
    /// Never empty ones.
    chunks: Vec<Arc<Vec<u64>>>,
}

impl Sorted {
    /// The set of these numbers, which are in order and different.
    fn from_sorted(keys: &[u64]) -> Self {
        let chunks = keys.chunks(FILLED);
        Self {
            firsts: chunks.clone().filter_map(|chunk| chunk.first().copied()).collect(),
            chunks: chunks.map(|chunk| Arc::new(chunk.to_vec())).collect(),
        }
    }

    /// Adds many numbers, in any order. When they are many beside those that are there, the set is built anew.
    pub(crate) fn insert_all(&mut self, mut keys: Vec<u64>) {
        if keys.len() < self.chunks.len() * STEP {
            return keys.into_iter().for_each(|key| self.insert(key));
        }
        keys.extend(self.from(0));
        keys.sort_unstable();
        keys.dedup();
        *self = Self::from_sorted(&keys);
    }

    /// The chunk in which a number is or would be.
    fn chunk_of(&self, key: u64) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    pub(crate) fn insert(&mut self, key: u64) {
        let index = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(index) else {
            self.firsts.push(key);
            self.chunks.push(Arc::new(vec![key]));
            return;
        };
        let Err(at) = chunk.binary_search(&key) else { return };
        if chunk.len() < MOST {
            let chunk = Arc::make_mut(chunk);
            if chunk.len() == chunk.capacity() {
                chunk.reserve_exact(STEP);
            }
            chunk.insert(at, key);
            if at == 0 {
                self.firsts[index] = key;
            }
            return;
        }
        self.split(index, at, key);
        self.insert(key);
    }

    /// Makes room in a full chunk, into which `key` belongs at `at`. A key behind the last one of all begins a chunk of its
    /// own, so that chunks which are filled in order stay full.
    fn split(&mut self, index: usize, at: usize, key: u64) {
        let behind_all = at == MOST && index + 1 == self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(index) else { return };
        let upper = if behind_all { vec![key] } else { Arc::make_mut(chunk).split_off(MOST / 2) };
        let Some(first) = upper.first() else { return };
        self.firsts.insert(index + 1, *first);
        self.chunks.insert(index + 1, Arc::new(upper));
    }

    pub(crate) fn remove(&mut self, key: u64) {
        let index = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(index) else { return };
        let Ok(at) = chunk.binary_search(&key) else { return };
        let chunk = Arc::make_mut(chunk);
        chunk.remove(at);
        if let Some(first) = chunk.first() {
            self.firsts[index] = *first;
            if chunk.len() < MOST / 8 {
                self.join_next(index);
                self.join_next(index.saturating_sub(1));
            }
        } else {
            self.chunks.remove(index);
            self.firsts.remove(index);
        }
    }

    /// Joins a small chunk with the next one when they fit together, so that removals do not leave dust.
    fn join_next(&mut self, index: usize) {
        let Some(next) = self.chunks.get(index + 1) else { return };
        if self.chunks[index].len() + next.len() > MOST / 2 {
            return;
        }
        let next = self.chunks.remove(index + 1);
        self.firsts.remove(index + 1);
        Arc::make_mut(&mut self.chunks[index]).extend_from_slice(&next);
    }

    /// The least number from `key` (inclusive) upwards, or else the least of all.
    pub(crate) fn at_or_after(&self, key: u64) -> Option<u64> {
        let index = self.chunk_of(key);
        let chunk = self.chunks.get(index)?;
        let in_chunk = chunk.get(chunk.partition_point(|k| *k < key)).copied();
        in_chunk.or_else(|| self.firsts.get(index + 1).or_else(|| self.firsts.first()).copied())
    }

    /// The numbers from `key` (inclusive) upwards.
    pub(crate) fn from(&self, key: u64) -> impl Iterator<Item = u64> {
        let index = self.chunk_of(key);
        let skip = self.chunks.get(index).map_or(0, |chunk| chunk.partition_point(|k| *k < key));
        self.chunks.iter().skip(index).flat_map(|chunk| chunk.iter().copied()).skip(skip)
    }

    #[cfg(test)]
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
