//! What is made while the program runs: objects of the configuration, API tokens, and the record of who changed what.

use hezar_core::{Secret, Timestamp};

/// An object of the configuration that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    /// What it is, such as `source`, `listener`, `user` or `settings`.
    pub kind: Box<str>,
    /// Its name, unique among those of its kind.
    pub name: Box<str>,
    /// The object as it would stand in the configuration, as JSON. It may hold passwords.
    pub value: Secret,
    /// When it was made or changed last.
    pub changed: Timestamp,
}

/// A token of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name, unique among tokens.
    pub name: Box<str>,
    /// BLAKE3 of the token, in hexadecimal digits.
    pub hash: Box<str>,
    /// What it allows, such as `admin` or `read`.
    pub scope: Box<str>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last, as far as that was noted.
    pub last_used: Option<Timestamp>,
}

/// One change that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, which grows with time; 0 in a row that is yet to be written.
    pub id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it: the name of a token, or of a user of this machine.
    pub who: Box<str>,
    /// On which way: `api`, `page`, `cli` or `file`.
    pub via: Box<str>,
    /// What was done, such as `create`, `change` or `remove`.
    pub action: Box<str>,
    /// What it was done to, such as `source`.
    pub kind: Box<str>,
    /// The name of what it was done to.
    pub name: Box<str>,
    /// What was there before, as JSON without secrets.
    pub old: Option<Box<str>>,
    /// What is there now, as JSON without secrets.
    pub new: Option<Box<str>>,
}

/// Everything that was made while the program ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlContents {
    /// The objects in the order of kind and name.
    pub objects: Vec<ObjectRow>,
    /// The tokens in the order of their names.
    pub tokens: Vec<TokenRow>,
}

impl ControlContents {
    /// The changes that add all of it to a store.
    #[must_use]
    pub fn into_changes(self) -> Vec<ControlChange> {
        let Self { objects, tokens } = self;
        let objects = objects.into_iter().map(ControlChange::PutObject);
        objects.chain(tokens.into_iter().map(ControlChange::PutToken)).collect()
    }
}

/// One change of what [`ControlContents`] holds, or a line of the record. These are rare and written at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlChange {
    /// An object is new, or replaces the one with its kind and name.
    PutObject(ObjectRow),
    /// An object is gone.
    RemoveObject {
        /// Its kind.
        kind: Box<str>,
        /// Its name.
        name: Box<str>,
    },
    /// A token is new, or replaces the one with its name.
    PutToken(TokenRow),
    /// A token is revoked.
    RemoveToken(Box<str>),
    /// When tokens were used last, by name.
    TokensUsed(Vec<(Box<str>, Timestamp)>),
    /// A line of the record. Only the newest [`MOST_AUDIT_ROWS`] are kept.
    Audit(AuditRow),
}

/// How many lines of the record are kept.
pub const MOST_AUDIT_ROWS: i64 = 10_000;

/// Which lines of the record are wanted, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only lines with a smaller number.
    pub before: Option<i64>,
    /// Only lines about this kind.
    pub kind: Option<Box<str>>,
    /// Only lines about something with this name.
    pub name: Option<Box<str>>,
    /// Only changes of this person.
    pub who: Option<Box<str>>,
    /// The most lines.
    pub limit: u32,
}
