//! What users have moved by day, as the API shows it.

use hezar_api::{ApiError, ListDto, UsageDayDto, UsageParameters, read_cursor, write_cursor};
use hezar_core::{Timestamp, UtcDay};
use hezar_store::{Store, UsageQuery};

/// Days that are told unless the client says which it wants.
const DAYS: u32 = 30;

/// One part of the days that the store has, in the order of day and user.
///
/// # Errors
/// [`ApiError::BadRequest`] when a parameter is malformed, [`ApiError::Busy`] when the store cannot be read.
pub(crate) async fn list(
    store: &dyn Store,
    query: &UsageParameters,
    now: Timestamp,
) -> Result<ListDto<UsageDayDto>, ApiError> {
    let to = read_day(query.to.as_deref())?.unwrap_or_else(|| UtcDay::containing(now));
    let from = read_day(query.from.as_deref())?.unwrap_or(UtcDay(to.0.saturating_sub(DAYS - 1)));
    let after = query.cursor.as_deref().map(read_cursor::<(u32, Box<str>)>).transpose()?;
    let size = query.part_size();
    let asked = UsageQuery {
        user: query.user.as_deref().map(Into::into),
        from: from.max(UtcDay(1)),
        to,
        after: after.map(|(day, user)| (UtcDay(day), user)),
        limit: u32::try_from(size).unwrap_or(u32::MAX),
    };
    let rows = store.usage(&asked).await.map_err(|error| {
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

fn read_day(text: Option<&str>) -> Result<Option<UtcDay>, ApiError> {
    let read = |text: &str| text.parse().map_err(|error| ApiError::BadRequest(format!("{text:?}: {error}")));
    text.map(read).transpose()
}
