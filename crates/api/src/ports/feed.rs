//! What other instances follow: the nodes that work, with what is known of them.

use std::time::Duration;

use async_trait::async_trait;

use crate::{FeedHeadDto, FeedNodeDto, FeedQuery};

/// What other instances follow.
#[async_trait]
pub trait FeedPort: Send + Sync + 'static {
    /// The nodes that work, or what has changed since the question before.
    fn feed(&self, query: &FeedQuery) -> (FeedHeadDto, Vec<FeedNodeDto>);

    /// Waits until something has changed behind a cursor, at most for `wait`; says whether it has. A cursor that is not known any more
    /// counts as a change.
    async fn feed_changed(&self, after: Option<&str>, wait: Duration) -> bool;
}
