//! What a node carries once it is used.

use super::Node;

/// What a node carries once it is used. The generation tells a builder that its work is out of date.
pub(super) struct Payload<D> {
    pub(super) generation: u32,
    pub(super) value: Option<D>,
}

impl<D> Node<D> {
    pub(super) fn reset_payload(&self) {
        let mut payload = self.payload.lock();
        payload.generation = payload.generation.wrapping_add(1);
        payload.value = None;
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
            let payload = self.payload.lock();
            if let Some(value) = &payload.value {
                return Ok(value.clone());
            }
            payload.generation
        };
        // Built outside the lock: two may build at once, and the first one's work is kept.
        let built = build(self)?;
        let mut payload = self.payload.lock();
        if payload.generation != generation {
            return Ok(built);
        }
        Ok(payload.value.get_or_insert(built).clone())
    }
}
