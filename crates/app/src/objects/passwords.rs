//! Puts hashes in the place of passwords before anything is stored, and gives new users a key.

use hezar_api::ObjectChange;
use hezar_gateway::{PasswordHash, UserKey};
use serde_json::Value as Json;
use tokio::task::spawn_blocking;

use super::{Edit, EditError, HIDDEN};
use crate::config::ObjectKind;

/// Puts hashes in the place of the passwords of users, so that no password is stored. A new user of which no key is said, not even
/// null, gets one.
pub(crate) async fn with_credentials(mut edits: Vec<Edit>) -> Result<Vec<Edit>, EditError> {
    edits.iter_mut().for_each(add_missing_key);
    let failed = || EditError::Malformed("the password could not be hashed".to_owned());
    let has_password = |edit: &Edit| matches!(edit.key.kind, ObjectKind::User | ObjectKind::Listener);
    if !edits.iter().any(has_password) {
        return Ok(edits);
    }
    // A hash takes some tens of milliseconds: not on a thread that serves requests.
    let hashed = spawn_blocking(move || {
        for edit in &mut edits {
            let (ObjectChange::Create(value) | ObjectChange::Replace(value) | ObjectChange::Merge(value)) =
                &mut edit.change
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

fn add_missing_key(edit: &mut Edit) {
    if edit.key.kind == ObjectKind::User
        && let ObjectChange::Create(Json::Object(user)) = &mut edit.change
    {
        user.entry("key").or_insert_with(|| UserKey::generate().to_text().expose().into());
    }
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
    use crate::config::ObjectKey;

    #[test]
    fn a_new_user_gets_a_key_unless_one_is_said() {
        let key_of = |change: ObjectChange| {
            let mut edit = Edit { key: ObjectKey::new(ObjectKind::User, "ali"), change };
            add_missing_key(&mut edit);
            match edit.change {
                ObjectChange::Create(value) | ObjectChange::Merge(value) => value.get("key").cloned(),
                _ => None,
            }
        };
        let made = key_of(ObjectChange::Create(json!({ "password": "p" }))).unwrap();
        assert_eq!(made.as_str().map(str::len), Some(43));
        assert_ne!(key_of(ObjectChange::Create(json!({}))).unwrap(), made);
        assert_eq!(key_of(ObjectChange::Create(json!({ "key": null }))), Some(Json::Null));
        assert_eq!(key_of(ObjectChange::Merge(json!({ "note": "n" }))), None);
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
