//! A vector in chunks: a copy shares all of them, and a change copies one.

use std::sync::Arc;

/// Many published copies of this exist over time; each shares with the next what did not change.
#[derive(Clone, Debug)]
pub(crate) struct Chunked<T, const N: usize> {
    chunks: Vec<Arc<[T; N]>>,
    len: usize,
}

impl<T: Clone + Default, const N: usize> Chunked<T, N> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        self.chunks.get(index / N).and_then(|chunk| chunk.get(index % N))
    }

    /// Replaces a value and returns the old one; an index beyond the end changes nothing.
    pub(crate) fn set(&mut self, index: usize, value: T) -> Option<T> {
        if index >= self.len {
            return None;
        }
        let chunk = Arc::make_mut(self.chunks.get_mut(index / N)?);
        chunk.get_mut(index % N).map(|place| std::mem::replace(place, value))
    }

    /// Changes a value in its place; an index beyond the end changes nothing.
    pub(crate) fn update(&mut self, index: usize, change: impl FnOnce(&mut T)) {
        if index < self.len
            && let Some(chunk) = self.chunks.get_mut(index / N)
            && let Some(value) = Arc::make_mut(chunk).get_mut(index % N)
        {
            change(value);
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len == self.chunks.len() * N {
            self.chunks.push(Arc::new(std::array::from_fn(|_| T::default())));
        }
        self.len += 1;
        self.set(self.len - 1, value);
    }

    /// Takes out a value; the last one moves into its place.
    pub(crate) fn swap_remove(&mut self, index: usize) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        if index > last {
            return None;
        }
        let moved = self.set(last, T::default())?;
        self.len = last;
        if self.len.is_multiple_of(N) {
            self.chunks.pop();
        }
        if index == last { Some(moved) } else { self.set(index, moved) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.len)
    }
}
