//! The end of the log, as the API answers it.

use hezar_api::{ApiError, LogPage, LogQuery};
use tracing::Level;

use crate::logs::{level_name, recent};

/// The most lines of one answer.
const MOST: usize = 1000;
/// The levels, the gravest in front.
const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

pub(super) fn page(query: &LogQuery) -> Result<LogPage, ApiError> {
    let wanted = levels(query.level.as_deref())?;
    let search = query.search.as_ref().map(|text| text.to_lowercase());
    let contains = |text: &str| search.as_deref().is_none_or(|search| text.to_lowercase().contains(search));
    let (mut items, last) = recent().lines(query.after.unwrap_or(0), |line| {
        wanted.iter().any(|level| level_name(*level) == line.level)
            && (contains(&line.message) || contains(&line.target) || line.fields.iter().any(|field| contains(field)))
    });
    let limit = query.limit.unwrap_or(100).clamp(1, MOST);
    if items.len() <= limit {
        return Ok(LogPage { items, last });
    }
    if query.after.is_none() {
        return Ok(LogPage { items: items.split_off(items.len() - limit), last });
    }
    items.truncate(limit);
    let last = items.last().map_or(last, |line| line.number);
    Ok(LogPage { items, last })
}

/// The levels from the gravest one to the one that is asked for.
fn levels(asked: Option<&str>) -> Result<&'static [Level], ApiError> {
    let Some(asked) = asked else { return Ok(&LEVELS) };
    let place = LEVELS.iter().position(|level| level_name(*level) == asked);
    let found = place.and_then(|place| LEVELS.get(..=place));
    found.ok_or_else(|| {
        ApiError::BadRequest(format!("level {asked:?} is not one of {}", LEVELS.map(level_name).join(", ")))
    })
}
