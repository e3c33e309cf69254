//! What other instances follow, as the API tells it.

use std::time::Duration;

use async_trait::async_trait;
use hezar_api::{FeedHeadDto, FeedNodeDto, FeedPort, FeedQuery};

use super::ApiBackend;

#[async_trait]
impl FeedPort for ApiBackend {
    fn feed(&self, query: &FeedQuery) -> (FeedHeadDto, Vec<FeedNodeDto>) {
        self.feed.answer(query)
    }

    async fn feed_changed(&self, after: Option<&str>, wait: Duration) -> bool {
        self.feed.changed(after, wait).await
    }
}
