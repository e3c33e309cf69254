//! Objects as the API shows them.

use std::collections::BTreeSet;

use hezar_api::{ApiError, ListDto, ObjectDto, ObjectsQuery, read_cursor, write_cursor};
use serde_json::json;

use super::AppliedConfig;
use crate::config::{ConfigOrigin, ObjectKey, ObjectKind, place, shown};

/// Entries of a list unless the query says otherwise.
const USUAL_PART: usize = 100;
/// The most entries of a part.
const LARGEST_PART: usize = 1000;

impl AppliedConfig {
    /// Where an object is said; `None` when there is none. One that is left out of the configuration lies in the store.
    pub(crate) fn origin(&self, key: &ObjectKey) -> Option<&ConfigOrigin> {
        let in_force = self.config.origins.get(key);
        in_force.or_else(|| self.objects.iter().any(|object| object.key == *key).then_some(&ConfigOrigin::Store))
    }

    /// The keys of all objects of a kind, in the order of their names.
    fn keys(&self, kind: ObjectKind) -> BTreeSet<&ObjectKey> {
        let stored = self.objects.iter().map(|object| &object.key);
        self.config.origins.keys().chain(stored).filter(|key| key.kind == kind).collect()
    }
}

/// One part of the objects of a kind, in the order of their names, without what only a running instance knows.
///
/// # Errors
/// [`ApiError::BadRequest`] when a parameter is malformed.
pub(crate) fn list(
    applied: &AppliedConfig,
    kind: ObjectKind,
    query: &ObjectsQuery,
) -> Result<ListDto<ObjectDto>, ApiError> {
    let after: Option<String> = query.cursor.as_deref().map(read_cursor).transpose()?;
    let size = part_size(query.limit)?;
    if !matches!(query.origin.as_deref(), None | Some("file" | "store")) {
        return Err(ApiError::BadRequest("origin is file or store".to_owned()));
    }
    let fits = |key: &&ObjectKey| {
        let origin = place(applied.origin(key)).0;
        after.as_ref().is_none_or(|after| key.name > *after)
            && query.search.as_ref().is_none_or(|text| key.name.contains(text.as_str()))
            && query.origin.as_ref().is_none_or(|wanted| wanted == origin)
    };
    let mut keys: Vec<&ObjectKey> = applied.keys(kind).into_iter().filter(fits).collect();
    let more = keys.len() > size;
    keys.truncate(size);
    let next = keys.last().filter(|_| more).map(|key| write_cursor(&key.name)).transpose()?;
    Ok(ListDto { items: keys.into_iter().map(|key| dto(applied, key)).collect(), next })
}

/// One object, without what only a running instance knows; `None` when there is none of this name.
pub(crate) fn one(applied: &AppliedConfig, key: &ObjectKey) -> Option<ObjectDto> {
    applied.origin(key).map(|_| dto(applied, key))
}

fn dto(applied: &AppliedConfig, key: &ObjectKey) -> ObjectDto {
    let stored = applied.objects.iter().find(|object| object.key == *key);
    let problem = applied.config.left_out.iter().find(|problem| problem.object.as_ref() == Some(key));
    let (origin, line, _) = place(applied.origin(key));
    ObjectDto {
        name: key.name.clone(),
        origin: origin.to_owned(),
        line,
        changed: stored.map(|object| object.changed.0),
        problem: problem.map(ToString::to_string),
        value: shown(&applied.config, key).unwrap_or_else(|| json!({ "name": key.name })),
        address: None,
        status: None,
        token: None,
    }
}

/// How many entries a part has.
pub(super) fn part_size(limit: Option<usize>) -> Result<usize, ApiError> {
    let size = limit.unwrap_or(USUAL_PART);
    if (1..=LARGEST_PART).contains(&size) {
        return Ok(size);
    }
    Err(ApiError::BadRequest(format!("limit is a number from 1 to {LARGEST_PART}")))
}
