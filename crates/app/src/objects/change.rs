//! Changes objects in the list of all of them, and says what the configuration is with them.

use std::collections::BTreeSet;

use hezar_api::ObjectChange;
use hezar_core::Timestamp;
use serde_json::{Map, Value as Json};

use super::{AppliedConfig, Edit, EditError, HIDDEN};
use crate::config::{
    Config, ConfigOrigin, ConfigReader, ObjectKey, ObjectKind, SourceConfig, StoredObject, is_changeable, is_setting,
    shown,
};

/// The most objects in the store.
const MOST_OBJECTS: usize = 20_000;
/// The largest object, as JSON, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 100;

/// What would be in force after these edits, all of them or none. Objects that are left out already may stay left out, unless they
/// are edited.
///
/// # Errors
/// [`EditError`]: what is wrong with an edit, or with the configuration as a whole.
pub(crate) fn edited(
    reader: &ConfigReader,
    applied: &AppliedConfig,
    edits: &[Edit],
    now: Timestamp,
) -> Result<AppliedConfig, EditError> {
    let mut objects = applied.objects.clone();
    for edit in edits {
        change(applied, &mut objects, edit, now)?;
    }
    if objects.len() > MOST_OBJECTS {
        return Err(EditError::Malformed(format!("the store has room for {MOST_OBJECTS} objects")));
    }
    let edited: BTreeSet<&ObjectKey> = edits.iter().map(|edit| &edit.key).collect();
    let left_out: BTreeSet<&ObjectKey> =
        applied.config.left_out.iter().filter_map(|problem| problem.object.as_ref()).collect();
    let may_leave_out = |key: &ObjectKey| left_out.contains(key) && !edited.contains(key);
    let config = reader.parse(applied.config.text.expose(), &objects, &may_leave_out)?;
    Ok(AppliedConfig { config, objects })
}

/// A source with these keys as it would be if it were added now, and the configuration with it.
///
/// # Errors
/// [`EditError::Malformed`], [`EditError::Invalid`].
pub(crate) fn alone(
    reader: &ConfigReader,
    applied: &AppliedConfig,
    mut value: Json,
) -> Result<(SourceConfig, Config), EditError> {
    let key = ObjectKey::new(ObjectKind::Source, "\u{1}preview");
    if let Some(table) = value.as_object_mut() {
        table.remove("name");
    }
    let mut objects = applied.objects.clone();
    let value = checked(&key, value)?;
    objects.push(StoredObject { key: key.clone(), value, changed: Timestamp(0) });
    let config = reader.parse(applied.config.text.expose(), &objects, &|other| *other != key)?;
    let source = config.sources.iter().find(|source| source.name == key.name).cloned();
    source.map(|source| (source, config)).ok_or_else(|| EditError::Malformed("it is no source".to_owned()))
}

/// Changes one object in the list.
fn change(
    applied: &AppliedConfig,
    objects: &mut Vec<StoredObject>,
    edit: &Edit,
    now: Timestamp,
) -> Result<(), EditError> {
    let key = &edit.key;
    let position = objects.iter().position(|object| object.key == *key);
    if position.is_none() {
        check_name(applied, edit)?;
    }
    let known = position.and_then(|position| objects.get(position)).map(|object| &object.value);
    let before = shown(&applied.config, key);
    let value = match (&edit.change, known) {
        (ObjectChange::Create(_), Some(_)) => return Err(EditError::Exists(key.clone())),
        (ObjectChange::Replace(_) | ObjectChange::Merge(_) | ObjectChange::Remove, None)
            if key.kind != ObjectKind::Setting =>
        {
            return Err(EditError::Missing(key.clone()));
        }
        (ObjectChange::Remove, None) if !is_setting(&key.name) => {
            return Err(EditError::Malformed(format!("there is no setting {:?}", key.name)));
        }
        // A setting that the store does not say is as it would be without it.
        (ObjectChange::Remove, _) => None,
        (ObjectChange::Create(value) | ObjectChange::Replace(value), known) => {
            Some(kept(value.clone(), known, before.as_ref()))
        }
        (ObjectChange::Merge(patch), known) => {
            let mut value = known.cloned().unwrap_or(Json::Null);
            merge(&mut value, &kept(patch.clone(), known, before.as_ref()));
            Some(value)
        }
    };
    let value = value.map(|value| checked(key, value)).transpose()?;
    match (position, value) {
        (Some(position), None) => {
            objects.remove(position);
        }
        (Some(position), Some(value)) => {
            if let Some(object) = objects.get_mut(position) {
                (object.value, object.changed) = (value, now);
            }
        }
        (None, Some(value)) => objects.push(StoredObject { key: key.clone(), value, changed: now }),
        (None, None) => {}
    }
    Ok(())
}

/// Whether there may be such an object in the store.
fn check_name(applied: &AppliedConfig, edit: &Edit) -> Result<(), EditError> {
    let key = &edit.key;
    if let Some(origin) = applied.origin(key).filter(|origin| **origin != ConfigOrigin::Store) {
        let is_new = matches!(edit.change, ObjectChange::Create(_));
        return Err(EditError::Elsewhere { key: key.clone(), origin: origin.clone(), is_new });
    }
    if key.kind == ObjectKind::Setting && !is_changeable(&key.name) {
        return Err(EditError::NeedsRestart(key.name.clone()));
    }
    if key.kind == ObjectKind::Setting && key.name == "proxy.users" {
        return Err(EditError::Malformed("users are objects of their own: see `hezar user`".to_owned()));
    }
    let good = (1..=LONGEST_NAME).contains(&key.name.len()) && !key.name.contains(char::is_control);
    if good {
        return Ok(());
    }
    Err(EditError::Malformed(format!("a name has 1 to {LONGEST_NAME} bytes and no control characters")))
}

/// Takes the name out of an object, and refuses what cannot be stored.
fn checked(key: &ObjectKey, mut value: Json) -> Result<Json, EditError> {
    if key.kind != ObjectKind::Setting {
        let Some(table) = value.as_object_mut() else {
            return Err(EditError::Malformed(format!("{key} is an object with keys")));
        };
        let name = table.remove("name");
        if name.is_some_and(|name| name.as_str() != Some(&key.name)) {
            return Err(EditError::Malformed(format!("the name of {key} cannot be changed: make another one")));
        }
        table.retain(|_, value| !value.is_null());
    }
    if holds_hidden(&value) {
        return Err(EditError::Malformed(format!("{HIDDEN:?} stands for what is not shown: say the value itself")));
    }
    let length = value.to_string().len();
    if length > MOST_BYTES {
        return Err(EditError::Malformed(format!("{key} has {length} bytes, and at most {MOST_BYTES} are kept")));
    }
    Ok(value)
}

/// A value that was shown with its secrets hidden, and comes back as it was shown, stays as it is.
fn kept(mut value: Json, known: Option<&Json>, shown: Option<&Json>) -> Json {
    let (Some(Json::Object(known)), Some(Json::Object(shown))) = (known, shown) else { return value };
    if let Json::Object(table) = &mut value {
        for (key, given) in table.iter_mut().filter(|(key, given)| shown.get(*key) == Some(given)) {
            *given = known.get(key).cloned().unwrap_or_else(|| given.take());
        }
    }
    value
}

fn holds_hidden(value: &Json) -> bool {
    match value {
        Json::String(text) => text == HIDDEN,
        Json::Array(values) => values.iter().any(holds_hidden),
        Json::Object(table) => table.values().any(holds_hidden),
        _ => false,
    }
}

/// JSON merge patch (RFC 7396).
fn merge(value: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Json::Object(Map::new());
    }
    let Json::Object(table) = value else { return };
    for (key, given) in patch {
        if given.is_null() {
            table.remove(key);
        } else {
            merge(table.entry(key.clone()).or_insert(Json::Null), given);
        }
    }
}

#[cfg(test)]
mod tests {
    use hezar_api::ApiError;
    use serde_json::json;

    use super::*;
    use crate::config::Layers;

    #[test]
    fn a_setting_that_there_is_not_is_a_mistake_of_the_body_and_named() {
        let config = Config::read("", None, &Layers::default()).unwrap();
        let applied = AppliedConfig { config, objects: Vec::new() };
        let missing = |kind| {
            let edit = Edit { key: ObjectKey::new(kind, "no.such"), change: ObjectChange::Remove };
            ApiError::from(change(&applied, &mut Vec::new(), &edit, Timestamp(0)).unwrap_err())
        };
        let told = missing(ObjectKind::Setting);
        assert!(matches!(&told, ApiError::BadRequest(text) if text.contains("no.such")), "{told:?}");
        assert!(matches!(missing(ObjectKind::User), ApiError::NotFound));
    }

    #[test]
    fn a_patch_changes_some_keys_and_null_takes_them_away() {
        let mut value = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [1] });
        merge(&mut value, &json!({ "a": null, "b": { "c": 5, "x": null }, "e": [2], "f": { "g": 1 } }));
        assert_eq!(value, json!({ "b": { "c": 5, "d": 3 }, "e": [2], "f": { "g": 1 } }));
        let mut scalar = json!("9s");
        merge(&mut scalar, &json!("8s"));
        assert_eq!(scalar, json!("8s"));
    }

    #[test]
    fn what_was_shown_hidden_and_comes_back_stays_as_it_is() {
        let known = json!({ "url": "https://a.test/SECRET", "interval": "5m" });
        let shown = json!({ "url": "https://a.test/hidden", "interval": "5m", "enabled": true });
        let value = kept(
            json!({ "url": "https://a.test/hidden", "interval": "6m", "enabled": true }),
            Some(&known),
            Some(&shown),
        );
        assert_eq!(value, json!({ "url": "https://a.test/SECRET", "interval": "6m", "enabled": true }));
        let key = ObjectKey::new(ObjectKind::User, "bob");
        assert!(matches!(checked(&key, json!({ "password": "…" })), Err(EditError::Malformed(_))));
        assert!(matches!(checked(&key, json!({ "name": "alice" })), Err(EditError::Malformed(_))));
        assert_eq!(checked(&key, json!({ "name": "bob", "note": null })).unwrap(), json!({}));
    }
}
