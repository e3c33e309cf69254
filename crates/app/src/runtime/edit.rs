//! Objects of the store are made, changed and removed: checked as a part of the whole configuration, applied, stored and recorded, in
//! this order, and undone when one step fails.

use std::{collections::BTreeSet, fmt};

use hezar_core::Timestamp;
use hezar_gateway::PasswordHash;
use hezar_store::{AuditRow, ControlChange, ObjectRow, StoreError};
use serde_json::{Map, Value as Json};
use tokio::task::spawn_blocking;

use super::{AppliedConfig, Runtime, difference::Difference};
use crate::config::{
    Config, ConfigOrigin, ObjectKey, ObjectKind, Problems, SourceConfig, StoredObject, is_changeable, shown,
};

/// The most objects in the store.
const MOST_OBJECTS: usize = 20_000;
/// The largest object, as JSON, in bytes.
const MOST_BYTES: usize = 1 << 20;
/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 100;
/// Stands where a secret is not shown; no value may hold it.
const HIDDEN: &str = "…";

/// Who changes something, and on which way.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) who: Box<str>,
    pub(crate) via: &'static str,
}

/// What is to be done to one object.
#[derive(Clone)]
pub(crate) enum EditAction {
    /// It is made; there is none of its name.
    Create(Json),
    /// It is another one from now on.
    Replace(Json),
    /// Some of its keys change; null takes a key away (RFC 7396).
    Merge(Json),
    /// It is taken away.
    Remove,
}

impl EditAction {
    const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Replace(_) => "replace",
            Self::Merge(_) => "change",
            Self::Remove => "remove",
        }
    }
}

/// One object with what is to be done to it.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) key: ObjectKey,
    pub(crate) action: EditAction,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum EditError {
    /// There is no such object.
    Missing(ObjectKey),
    /// There is one already.
    Exists(ObjectKey),
    /// The file, the environment or a flag says it.
    Elsewhere {
        /// What it is.
        key: ObjectKey,
        /// Where it is said.
        origin: ConfigOrigin,
    },
    /// It can be changed by a restart only.
    NeedsRestart(String),
    /// The object cannot be meant.
    Malformed(String),
    /// The configuration would not be good with it.
    Invalid(Problems),
    /// It is good, and cannot be done now, such as an address that is taken.
    NotApplied(anyhow::Error),
    /// It could not be kept.
    NotStored(StoreError),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "the store has no {key}"),
            Self::Exists(key) => write!(f, "{key} is in the store already: change it, or choose another name"),
            Self::Elsewhere { key, origin } => write!(
                f,
                "{key} is said by {origin}, and cannot be said in the store too: change it there, or choose another name"
            ),
            Self::NeedsRestart(path) => write!(
                f,
                "{path} cannot be changed while the instance runs: say it in the configuration file, and start again"
            ),
            Self::Malformed(text) => f.write_str(text),
            Self::Invalid(problems) => write!(f, "{problems}"),
            Self::NotApplied(error) => write!(f, "{error:#}"),
            Self::NotStored(error) => {
                write!(f, "nothing was changed, since the store cannot be written: {error}")
            }
        }
    }
}

impl From<Problems> for EditError {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

impl Runtime {
    /// Changes objects, all of them or none.
    ///
    /// # Errors
    /// [`EditError`]: nothing has changed.
    pub(crate) async fn edit(&self, actor: &Actor, edits: Vec<Edit>) -> Result<Difference, EditError> {
        let edits = with_hashed_passwords(edits).await?;
        let _alone = self.changing.lock().await;
        let (applied, now) = (self.applied(), self.parts.clock.wall());
        let mut objects = applied.objects.clone();
        for edit in &edits {
            change(&applied, &mut objects, edit, now)?;
        }
        if objects.len() > MOST_OBJECTS {
            return Err(EditError::Malformed(format!("the store has room for {MOST_OBJECTS} objects")));
        }
        let edited: BTreeSet<&ObjectKey> = edits.iter().map(|edit| &edit.key).collect();
        let left_out: BTreeSet<&ObjectKey> =
            applied.config.left_out.iter().filter_map(|problem| problem.object.as_ref()).collect();
        let may_leave_out = |key: &ObjectKey| left_out.contains(key) && !edited.contains(key);
        let config = self.reader.parse(applied.config.text.expose(), &objects, &may_leave_out)?;
        let difference = self.apply(&applied.config, &config).await.map_err(EditError::NotApplied)?;
        let changes = edits.iter().flat_map(|edit| stored(actor, edit, &objects, (&applied.config, &config), now));
        let changes: Vec<ControlChange> = changes.collect();
        if let Err(error) = self.parts.store.write_control(&changes).await {
            if let Err(undo) = self.apply(&config, &applied.config).await {
                tracing::error!("a change that could not be stored could not be undone either: {undo:#}");
            }
            return Err(EditError::NotStored(error));
        }
        self.set_applied(&applied.config, config, objects);
        tracing::info!(who = %actor.who, via = actor.via, changed = difference.changed.join(", "), "changed");
        Ok(difference)
    }
}

impl Runtime {
    /// A source with these keys as it would be if it were added now, and the configuration with it.
    ///
    /// # Errors
    /// [`EditError::Malformed`], [`EditError::Invalid`].
    pub(crate) fn source_alone(&self, value: Json) -> Result<(SourceConfig, Config), EditError> {
        let applied = self.applied();
        let key = ObjectKey::new(ObjectKind::Source, "\u{1}preview");
        let mut value = value;
        if let Some(table) = value.as_object_mut() {
            table.remove("name");
        }
        let mut objects = applied.objects.clone();
        let value = checked(&key, value)?;
        objects.push(StoredObject { key: key.clone(), value, changed: Timestamp(0) });
        let config = self.reader.parse(applied.config.text.expose(), &objects, &|other| *other != key)?;
        let source = config.sources.iter().find(|source| source.name == key.name).cloned();
        source.map(|source| (source, config)).ok_or_else(|| EditError::Malformed("it is no source".to_owned()))
    }
}

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

/// What an edit writes to the store: the object, and the line of the record.
fn stored(
    actor: &Actor,
    edit: &Edit,
    objects: &[StoredObject],
    (old, new): (&Config, &Config),
    now: Timestamp,
) -> [ControlChange; 2] {
    let key = &edit.key;
    let (kind, name) = (key.kind.name(), key.name.as_str());
    let change = match objects.iter().find(|object| object.key == *key) {
        Some(object) => ControlChange::PutObject(ObjectRow {
            kind: kind.into(),
            name: name.into(),
            value: object.value.to_string().into(),
            changed: object.changed,
        }),
        None => ControlChange::RemoveObject { kind: kind.into(), name: name.into() },
    };
    [change, audit(actor, edit.action.name(), (kind, name), (shown(old, key), shown(new, key)), now)]
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
    let value = match (&edit.action, known) {
        (EditAction::Create(_), Some(_)) => return Err(EditError::Exists(key.clone())),
        (EditAction::Replace(_) | EditAction::Merge(_) | EditAction::Remove, None)
            if key.kind != ObjectKind::Setting =>
        {
            return Err(EditError::Missing(key.clone()));
        }
        (EditAction::Remove, None) => return Err(EditError::Missing(key.clone())),
        (EditAction::Remove, Some(_)) => None,
        (EditAction::Create(value) | EditAction::Replace(value), known) => {
            Some(kept(value.clone(), known, before.as_ref()))
        }
        (EditAction::Merge(patch), known) => {
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
    if let Some(origin) = applied.config.origins.get(key).filter(|origin| **origin != ConfigOrigin::Store) {
        return Err(EditError::Elsewhere { key: key.clone(), origin: origin.clone() });
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

/// Puts hashes in the place of the passwords of users, so that no password is stored.
async fn with_hashed_passwords(mut edits: Vec<Edit>) -> Result<Vec<Edit>, EditError> {
    let failed = || EditError::Malformed("the password could not be hashed".to_owned());
    let has_password = |edit: &Edit| matches!(edit.key.kind, ObjectKind::User | ObjectKind::Listener);
    if !edits.iter().any(has_password) {
        return Ok(edits);
    }
    // A hash takes some tens of milliseconds: not on a thread that serves requests.
    let hashed = spawn_blocking(move || {
        for edit in &mut edits {
            let (EditAction::Create(value) | EditAction::Replace(value) | EditAction::Merge(value)) = &mut edit.action
            else {
                continue;
            };
            match edit.key.kind {
                ObjectKind::User => hash_password(value)?,
                ObjectKind::Listener => {
                    let users = value.get_mut("users").and_then(Json::as_array_mut);
                    users.into_iter().flatten().try_for_each(hash_password)?;
                }
                ObjectKind::Source | ObjectKind::Subscription | ObjectKind::Setting => {}
            }
        }
        Some(edits)
    });
    hashed.await.ok().flatten().ok_or_else(failed)
}

/// `None` when there is no hash. What is no password is left for the parser to refuse.
fn hash_password(user: &mut Json) -> Option<()> {
    let Some(table) = user.as_object_mut() else { return Some(()) };
    let password = table.get("password").and_then(Json::as_str);
    if let Some(password) = password.filter(|text| (1..=255).contains(&text.len()) && *text != HIDDEN) {
        let hash = PasswordHash::make(password).ok()?;
        table.insert("password_hash".to_owned(), hash.expose().into());
        table.insert("password".to_owned(), Json::Null);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn passwords_are_hashed_before_they_are_stored() {
        let mut user = json!({ "password": "s3cret", "note": "n" });
        hash_password(&mut user).unwrap();
        assert!(user["password"].is_null() && user["password_hash"].as_str().unwrap().starts_with("$argon2id$"));
        let mut empty = json!({ "password": "" });
        hash_password(&mut empty).unwrap();
        assert_eq!(empty, json!({ "password": "" }));
    }
}
