//! What a node carries once it is used.

use std::sync::atomic::Ordering::Relaxed;

use super::Node;

impl<D> Node<D> {
    /// Drops what the node carries. Whoever builds it at this moment learns that the work is out of date.
    pub(super) fn reset_payload(&self) {
        let mut guarded = self.guarded.lock();
        self.generation.fetch_add(1, Relaxed);
        let old = guarded.payload.take();
        drop(guarded);
        // Ending its connections may take a moment, for which the lock is not needed.
        drop(old);
    }
}

impl<D: Clone> Node<D> {
    /// What the node carries (in practice its dialer), built on first use. It is dropped when the node dies and when
    /// its permission to use private addresses changes; whoever holds a clone may finish with it.
    ///
    /// # Errors
    /// Whatever `build` says; it is asked again the next time.
    pub fn payload<E>(&self, build: impl FnOnce(&Self) -> Result<D, E>) -> Result<D, E> {
        let generation = {
            let guarded = self.guarded.lock();
            if let Some(value) = &guarded.payload {
                return Ok(D::clone(value));
            }
            self.generation.load(Relaxed)
        };
        // Built outside the lock: two may build at once, and the first one's work is kept.
        let built = build(self)?;
        let mut guarded = self.guarded.lock();
        if self.generation.load(Relaxed) != generation {
            return Ok(built);
        }
        Ok(D::clone(guarded.payload.get_or_insert_with(|| Box::new(built))))
    }
}
