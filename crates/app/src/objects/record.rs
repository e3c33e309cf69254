//! The record of changes: who changed what, when, on which way, and from what to what.

use hezar_api::{ApiError, AuditDto, AuditParameters, ListDto, read_cursor, write_cursor};
use hezar_core::Timestamp;
use hezar_store::{AuditQuery, AuditRow, ControlChange, ObjectRow, Store};
use serde_json::Value as Json;

use super::{Actor, AppliedConfig, Edit, view::part_size};
use crate::config::shown;

/// A line of the record about an object.
pub(crate) fn audit(
    actor: &Actor,
    action: &str,
    (kind, name): (&str, &str),
    (old, new): (Option<Json>, Option<Json>),
    at: Timestamp,
) -> ControlChange {
    let text = |value: Option<Json>| value.map(|value| value.to_string().into());
    ControlChange::Audit(AuditRow {
        id: 0,
        at,
        who: actor.who.clone(),
        via: actor.via.into(),
        action: action.into(),
        kind: kind.into(),
        name: name.into(),
        old: text(old),
        new: text(new),
    })
}

/// What edits write to the store: each object, and its line of the record. `old` is what was in force before them, and `new` what is since.
pub(crate) fn rows(
    actor: &Actor,
    edits: &[Edit],
    (old, new): (&AppliedConfig, &AppliedConfig),
    now: Timestamp,
) -> Vec<ControlChange> {
    let is_there = |applied: &AppliedConfig, edit: &Edit| applied.objects.iter().any(|object| object.key == edit.key);
    let real = edits.iter().filter(|edit| is_there(old, edit) || is_there(new, edit));
    real.flat_map(|edit| rows_of_one(actor, edit, (old, new), now)).collect()
}

fn rows_of_one(
    actor: &Actor,
    edit: &Edit,
    (old, new): (&AppliedConfig, &AppliedConfig),
    now: Timestamp,
) -> [ControlChange; 2] {
    let key = &edit.key;
    let (kind, name) = (key.kind.name(), key.name.as_str());
    let change = match new.objects.iter().find(|object| object.key == *key) {
        Some(object) => ControlChange::PutObject(ObjectRow {
            kind: kind.into(),
            name: name.into(),
            value: object.value.to_string().into(),
            changed: object.changed,
        }),
        None => ControlChange::RemoveObject { kind: kind.into(), name: name.into() },
    };
    let values = (shown(&old.config, key), shown(&new.config, key));
    [change, audit(actor, edit.action_name(), (kind, name), values, now)]
}

/// One part of the record, the newest in front.
///
/// # Errors
/// [`ApiError::BadRequest`] when a parameter is malformed, [`ApiError::Internal`] when the store cannot be read.
pub(crate) async fn list(store: &dyn Store, query: &AuditParameters) -> Result<ListDto<AuditDto>, ApiError> {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    let size = part_size(query.limit)?;
    let asked = AuditQuery {
        before: query.cursor.as_deref().map(read_cursor).transpose()?,
        kind: text(&query.kind),
        name: text(&query.name),
        who: text(&query.who),
        limit: u32::try_from(size + 1).unwrap_or(u32::MAX),
    };
    let mut rows = store.audit(&asked).await.map_err(|error| {
        tracing::warn!(%error, "the record of changes cannot be read");
        ApiError::Internal
    })?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|row| write_cursor(&row.id)).transpose()?;
    Ok(ListDto { items: rows.into_iter().map(dto).collect(), next })
}

fn dto(row: AuditRow) -> AuditDto {
    let value = |text: Option<Box<str>>| text.and_then(|text| serde_json::from_str(&text).ok());
    AuditDto {
        id: row.id,
        at: row.at.0,
        who: row.who.into(),
        via: row.via.into(),
        action: row.action.into(),
        kind: row.kind.into(),
        name: row.name.into(),
        old: value(row.old),
        new: value(row.new),
    }
}
