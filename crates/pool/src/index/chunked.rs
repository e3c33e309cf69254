//! A vector as a tree of three levels: a copy shares nearly all of it, and a change copies one chunk and the way to it.

use std::sync::Arc;

/// Chunks per branch. A vector of a million has some hundred branches at most, so that its copy is a short list of pointers.
const WIDTH: usize = 64;

/// Many published copies of this exist over time; each shares with the next what did not change.
#[derive(Clone, Debug)]
pub(crate) struct Chunked<T, const N: usize> {
    /// All full but the last one.
    branches: Vec<Arc<Branch<T, N>>>,
    len: usize,
}

type Branch<T, const N: usize> = Vec<Arc<[T; N]>>;

impl<T: Clone + Default, const N: usize> Chunked<T, N> {
    pub(crate) const fn new() -> Self {
        Self { branches: Vec::new(), len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        self.branches.get(index / (N * WIDTH))?.get(index / N % WIDTH)?.get(index % N)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        let branch = Arc::make_mut(self.branches.get_mut(index / (N * WIDTH))?);
        Arc::make_mut(branch.get_mut(index / N % WIDTH)?).get_mut(index % N)
    }

    /// Replaces a value and returns the old one; an index beyond the end changes nothing.
    pub(crate) fn set(&mut self, index: usize, value: T) -> Option<T> {
        self.get_mut(index).map(|place| std::mem::replace(place, value))
    }

    /// Changes a value in its place; an index beyond the end changes nothing.
    pub(crate) fn update(&mut self, index: usize, change: impl FnOnce(&mut T)) {
        if let Some(value) = self.get_mut(index) {
            change(value);
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(N * WIDTH) {
            self.branches.push(Arc::default());
        }
        if self.len.is_multiple_of(N)
            && let Some(branch) = self.branches.last_mut()
        {
            Arc::make_mut(branch).push(Arc::new(std::array::from_fn(|_| T::default())));
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
        self.drop_empty_chunk();
        if index == last { Some(moved) } else { self.set(index, moved) }
    }

    /// Gives back the last chunk, and its branch, when nothing is left in it.
    fn drop_empty_chunk(&mut self) {
        if self.len.is_multiple_of(N * WIDTH) {
            self.branches.pop();
        } else if self.len.is_multiple_of(N)
            && let Some(branch) = self.branches.last_mut()
        {
            Arc::make_mut(branch).pop();
        }
    }

    #[cfg(test)]
    pub(crate) fn branch_count(&self) -> usize {
        self.branches.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let chunks = self.branches.iter().flat_map(|branch| branch.iter());
        chunks.flat_map(|chunk| chunk.iter()).take(self.len)
    }
}
