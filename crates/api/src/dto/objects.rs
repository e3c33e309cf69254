//! The JSON of what is made while the program runs: sources, listeners, users, settings, tokens, and the record of changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{RejectDto, SourceDto};

/// A kind of objects that the API makes, changes and removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// `/sources`.
    Source,
    /// `/listeners`.
    Listener,
    /// `/users`.
    User,
    /// `/subscriptions`.
    Subscription,
}

/// What is to be done to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectChange {
    /// It is made.
    Create(Value),
    /// It is another one from now on.
    Replace(Value),
    /// Some of its keys change; null takes a key away (RFC 7396).
    Merge(Value),
    /// It is taken away.
    Remove,
}

/// Who changes something, for the record of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedBy {
    /// The name of the token.
    pub who: String,
    /// `api`, `page` or `cli`.
    pub via: &'static str,
}

/// Where a client reads a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionAddressDto {
    /// The path at the API's address, as `/sub/TOKEN`.
    pub path: String,
}

/// A source, a listener, a user or a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ObjectDto {
    /// Its name, unique among those of its kind.
    pub name: String,
    /// Where it is said: `file` or `store`. Only what lies in the store can be changed here.
    pub origin: String,
    /// Its line in the configuration file.
    pub line: Option<usize>,
    /// When it was changed here last, in milliseconds since the Unix epoch.
    pub changed: Option<u64>,
    /// Why it is not in force.
    pub problem: Option<String>,
    /// Its keys with what is in force, secrets hidden; `GET /api/v1/schemas` describes them.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub value: Value,
    /// Where a listener really listens.
    #[serde(default)]
    pub address: Option<String>,
    /// What a source gave last.
    #[serde(default)]
    pub status: Option<SourceDto>,
    /// The token that was made for a subscription: the last part of its address. Only the answer to its making has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl ObjectType {
    /// Makes the token of a subscription whose keys have none; `None` when nothing was to be made.
    pub fn make_missing_token(self, keys: &mut Value) -> Option<String> {
        let keys = keys.as_object_mut().filter(|_| self == Self::Subscription)?;
        if keys.get("token").is_some_and(|token| !token.is_null()) {
            return None;
        }
        let token = hex::encode(rand::random::<[u8; 16]>());
        keys.insert("token".to_owned(), token.as_str().into());
        Some(token)
    }
}

/// The parameters of the lists of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ObjectsQuery {
    /// Only those whose name contains this text.
    pub search: Option<String>,
    /// `file` or `store`.
    pub origin: Option<String>,
    /// The `next` of the part before.
    pub cursor: Option<String>,
    /// How many at most, from 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// What a change has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeReport {
    /// What differs now, in words.
    pub changed: Vec<String>,
}

/// One setting of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SettingDto {
    /// Its path, such as `probe.interval`.
    pub key: String,
    /// What it means.
    pub about: String,
    /// Which values are allowed, in words.
    pub expected: String,
    /// All values, where there are only a few with a name each.
    pub choices: Vec<String>,
    /// The types that a value may have, as a JSON schema names them.
    pub types: Vec<String>,
    /// The value when nothing says it; `null` when there is none.
    #[schema(value_type = Value)]
    pub default: Option<Value>,
    /// What is in force, secrets hidden; `null` when there is nothing.
    #[schema(value_type = Value)]
    pub value: Option<Value>,
    /// Where it is said: `default`, `file`, `environment`, `flag` or `store`.
    pub origin: String,
    /// Its line in the configuration file.
    pub line: Option<usize>,
    /// The environment variable that says it.
    pub variable: Option<String>,
    /// Whether it can be changed while the program runs.
    pub changeable: bool,
}

/// The body of `POST /api/v1/sources/preview`: a text, or the keys of a source (such as `url`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewRequest {
    /// A list as a source would bring it.
    pub text: Option<String>,
    /// The keys of a source, without a name.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    pub source: Option<Value>,
}

/// What a source would give. Nothing of it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewReport {
    /// Nodes that were read.
    pub nodes: usize,
    /// Those of them that the pool has already.
    pub known: usize,
    /// Nodes by scheme.
    pub schemes: BTreeMap<String, usize>,
    /// The first nodes.
    pub sample: Vec<PreviewNodeDto>,
    /// Lines and entries that are no nodes.
    pub refused: usize,
    /// The first of them, with their lines.
    pub refusals: Vec<RejectDto>,
}

/// A node that a source would give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewNodeDto {
    /// Its name.
    pub name: String,
    /// Its link scheme.
    pub scheme: String,
    /// Its server.
    pub server: String,
    /// The port of the server.
    pub port: u16,
}

/// A token of the API. The token itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenDto {
    /// Its name.
    pub name: String,
    /// What it allows: `admin`, `read`, `feedback` or `subscription`.
    pub scope: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: u64,
    /// When it was used last.
    pub last_used: Option<u64>,
}

/// The body of `POST /api/v1/tokens`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Its name, of 1 to 64 bytes; no other token has it.
    pub name: String,
    /// What it allows: `admin`, `read`, `feedback` or `subscription`.
    pub scope: String,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewTokenDto {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scope: String,
    /// The token. It is shown this once.
    pub token: String,
}

/// The parameters of `GET /api/v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditParameters {
    /// Only changes of this kind of objects, such as `source`.
    pub kind: Option<String>,
    /// Only changes of what has this name.
    pub name: Option<String>,
    /// Only changes that this token made.
    pub who: Option<String>,
    /// The `next` of the part before.
    pub cursor: Option<String>,
    /// How many at most, from 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// One line of the record of changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditDto {
    /// Its number, which grows with time.
    pub id: i64,
    /// When it was, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The name of the token, or the file that was read.
    pub who: String,
    /// `api`, `page`, `cli` or `file`.
    pub via: String,
    /// What was done, such as `create`, `change`, `replace`, `remove` or `reload`.
    pub action: String,
    /// What it was done to, such as `source`.
    pub kind: String,
    /// The name of what it was done to.
    pub name: String,
    /// What was in force before, secrets hidden.
    #[schema(value_type = Value)]
    pub old: Option<Value>,
    /// What is in force since, secrets hidden.
    #[schema(value_type = Value)]
    pub new: Option<Value>,
}

/// How the configuration is: its file, and what of it or of the store is not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ConfigStatusDto {
    /// The file.
    pub file: Option<String>,
    /// When it was applied last, in milliseconds since the Unix epoch.
    pub applied: u64,
    /// Why the last reading of it changed nothing, each mistake with its place.
    pub problems: Vec<String>,
    /// What was changed in it and needs a restart.
    pub restart: Vec<String>,
    /// Objects of the store that are not in force, and why.
    pub left_out: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subscription_gets_a_token_when_it_has_none() {
        for mut keys in [json!({ "name": "phone" }), json!({ "token": null })] {
            let token = ObjectType::Subscription.make_missing_token(&mut keys).unwrap();
            assert!(token.len() == 32 && keys["token"] == token.as_str(), "{keys}");
        }
        let mut given = json!({ "token": "0123456789abcdef" });
        assert_eq!(ObjectType::Subscription.make_missing_token(&mut given), None);
        assert_eq!(given["token"], "0123456789abcdef");
        for mut other in [json!({ "name": "alice" }), json!("text")] {
            assert_eq!(ObjectType::User.make_missing_token(&mut other), None);
        }
    }
}
