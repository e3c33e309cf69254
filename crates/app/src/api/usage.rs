//! What users have moved, as the API tells it.

use async_trait::async_trait;
use hezar_api::{ApiError, BytesDto, ListDto, UsageDayDto, UsageParameters, UsagePort, UserUsageDto};
use hezar_gateway::{UsageSummary, UsedBytes};

use super::ApiBackend;
use crate::store_sync::usage;

#[async_trait]
impl UsagePort for ApiBackend {
    async fn usage(&self, query: &UsageParameters) -> Result<ListDto<UsageDayDto>, ApiError> {
        // What has been moved a moment ago counts, too.
        self.usage_sync.write().await;
        usage::list(&*self.store, query, self.clock.now()).await
    }

    fn usage_of_user(&self, name: &str) -> Option<UserUsageDto> {
        let used = self.usage.summary(name, self.clock.now());
        let is_known = || self.listeners.configs().iter().any(|one| one.users.iter().any(|user| *user.name == *name));
        if used == UsageSummary::default() && !is_known() {
            return None;
        }
        let bytes = |UsedBytes { up, down }| BytesDto { up, down };
        let UsageSummary { today, month, total } = used;
        Some(UserUsageDto { user: name.to_owned(), today: bytes(today), month: bytes(month), total: bytes(total) })
    }
}
