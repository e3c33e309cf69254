//! Why no node can be used. The application finds the reason; the gateway tells it to clients that it refuses.

use std::{fmt, sync::Arc};

/// Gives the cause in one line; `None` when there is none to tell.
type Explain = dyn Fn() -> Option<Arc<str>> + Send + Sync;

/// What the gateway asks when its pool is empty. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Explanation(Option<Arc<Explain>>);

impl Explanation {
    pub(crate) fn new(explain: impl Fn() -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(explain)))
    }

    /// The cause as it is at this moment.
    pub(crate) fn current(&self) -> Option<Arc<str>> {
        self.0.as_ref()?()
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Explanation").field(&self.0.is_some()).finish()
    }
}
