//! What is to be done to objects, who does it, and why it was not done.

use std::fmt;

use hezar_api::{ApiError, ObjectChange};
use hezar_store::StoreError;
use serde_json::{Map, Value as Json};

use crate::config::{ConfigOrigin, ObjectKey, ObjectKind, Problems};

/// Who changes something, and on which way.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) who: Box<str>,
    pub(crate) via: &'static str,
}

/// One object with what is to be done to it.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) key: ObjectKey,
    pub(crate) change: ObjectChange,
}

impl Edit {
    /// The word that the record of changes has for it.
    pub(super) const fn action_name(&self) -> &'static str {
        match self.change {
            ObjectChange::Create(_) => "create",
            ObjectChange::Replace(_) => "replace",
            ObjectChange::Merge(_) => "change",
            ObjectChange::Remove => "remove",
        }
    }
}

/// Settings that get other values; null takes one back to its default.
pub(crate) fn settings_edits(values: Map<String, Json>) -> Vec<Edit> {
    let edit = |(name, value): (String, Json)| {
        let change = if value.is_null() { ObjectChange::Remove } else { ObjectChange::Replace(value) };
        Edit { key: ObjectKey::new(ObjectKind::Setting, name), change }
    };
    values.into_iter().map(edit).collect()
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
        /// Whether one of its name was to be made.
        is_new: bool,
    },
    /// It can be changed by a restart only.
    NeedsRestart(String),
    /// The object cannot be meant, or there is no such setting.
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
            Self::Missing(key) => write!(f, "there is no {key}; `hezar {} list` shows all", key.kind.name()),
            Self::Exists(key) => write!(f, "{key} is in the store already: change it, or choose another name"),
            Self::Elsewhere { key, origin, is_new: true } => write!(
                f,
                "{key} is said by {origin}, and cannot be said in the store too: change it there, or choose another name"
            ),
            Self::Elsewhere { key, origin, is_new: false } => write!(f, "{key} is said by {origin}: change it there"),
            Self::NeedsRestart(path) => write!(
                f,
                "{path} cannot be kept in the store, and not be changed while an instance runs: say it in the configuration file, and start again"
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

impl std::error::Error for EditError {}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let text = error.to_string();
        match error {
            EditError::Missing(_) => Self::NotFound,
            EditError::Exists(_) | EditError::Elsewhere { .. } | EditError::NotApplied(_) => Self::Conflict(text),
            EditError::NeedsRestart(_) | EditError::Malformed(_) | EditError::Invalid(_) => Self::BadRequest(text),
            EditError::NotStored(_) => Self::NotStored(text),
        }
    }
}
