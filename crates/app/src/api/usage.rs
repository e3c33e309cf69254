//! What users have moved, as the API tells it.

use async_trait::async_trait;
use hezar_api::{
    ApiError, BytesDto, ListDto, UsageDayDto, UsageParameters, UsagePort, UserUsageDto, read_cursor, write_cursor,
};
use hezar_core::UtcDay;
use hezar_gateway::{UsageSummary, UsedBytes};
use hezar_store::UsageQuery;

use super::ApiBackend;

/// Days that are told unless the client says which it wants.
const DAYS: u32 = 30;

#[async_trait]
impl UsagePort for ApiBackend {
    async fn usage(&self, query: &UsageParameters) -> Result<ListDto<UsageDayDto>, ApiError> {
        let to = read_day(query.to.as_deref())?.unwrap_or_else(|| UtcDay::containing(self.clock.now()));
        let from = read_day(query.from.as_deref())?.unwrap_or(UtcDay(to.0.saturating_sub(DAYS - 1)));
        let after = query.cursor.as_deref().map(read_cursor::<(u32, Box<str>)>).transpose()?;
        let size = query.part_size();
        // What has been moved a moment ago counts, too.
        self.usage_sync.write().await;
        let asked = UsageQuery {
            user: query.user.as_deref().map(Into::into),
            from: from.max(UtcDay(1)),
            to,
            after: after.map(|(day, user)| (UtcDay(day), user)),
            limit: u32::try_from(size).unwrap_or(u32::MAX),
        };
        let rows = self.store.usage(&asked).await.map_err(|error| {
            tracing::warn!(%error, code = error.code(), "what users have moved cannot be read");
            ApiError::Busy("the store cannot be read now")
        })?;
        let last = rows.last().filter(|_| rows.len() == size).map(|row| write_cursor(&(row.day.0, &row.user)));
        let next = last.transpose()?;
        let items = rows.into_iter().map(|row| UsageDayDto {
            user: row.user.into(),
            day: row.day.to_string(),
            up: row.up,
            down: row.down,
        });
        Ok(ListDto { items: items.collect(), next })
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

fn read_day(text: Option<&str>) -> Result<Option<UtcDay>, ApiError> {
    let read = |text: &str| text.parse().map_err(|error| ApiError::BadRequest(format!("{text:?}: {error}")));
    text.map(read).transpose()
}
