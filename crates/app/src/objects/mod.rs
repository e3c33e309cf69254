//! Objects of the store: how they are edited, shown and recorded, whether an instance runs or not.

mod change;
mod edit;
mod passwords;
mod record;
mod view;

use hezar_store::{ControlContents, TokenRow};

use crate::config::{Config, ObjectKey, ObjectKind, StoredObject};

pub(crate) use change::{alone, edited};
pub(crate) use edit::{Actor, Edit, EditError, settings_edits};
pub(crate) use passwords::with_credentials;
pub(crate) use record::{audit, list as audit_list, rows};
pub(crate) use view::{list, one};

/// Stands where a secret is not shown; no value may hold it.
const HIDDEN: &str = "…";

/// What is in force, or would be if an instance ran.
pub(crate) struct AppliedConfig {
    /// The configuration; in a running instance, what needs a restart is as it was at the start.
    pub(crate) config: Config,
    /// The objects of the store, those that are left out of the configuration too.
    pub(crate) objects: Vec<StoredObject>,
}

/// The objects that this program knows, and the tokens. What a later version keeps in the same table stays there.
pub(crate) fn from_store(control: ControlContents) -> (Vec<StoredObject>, Vec<TokenRow>) {
    let object = |row: hezar_store::ObjectRow| {
        let key = ObjectKey::new(ObjectKind::from_name(&row.kind)?, row.name);
        let value = serde_json::from_str(row.value.expose()).unwrap_or_default();
        Some(StoredObject { key, value, changed: row.changed })
    };
    (control.objects.into_iter().filter_map(object).collect(), control.tokens)
}
