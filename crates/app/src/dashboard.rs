//! What dashboards select and store, and the settings that they are shown: kept in memory, and written to the store.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use hezar_api::ApiError;
use hezar_core::{Group, GroupMember};
use hezar_gateway::GroupSelections;
use hezar_store::{Change, DashboardKind, DashboardRow};
use parking_lot::Mutex;

use crate::{config::Config, nodes::Nodes};

/// The most keys that dashboards store something under.
const MOST_KEYS: usize = 64;

/// The state of the instance that dashboards see and change.
pub(crate) struct DashboardState {
    pub(crate) groups: Arc<GroupSelections>,
    /// What is in force.
    config: ArcSwap<Config>,
    values: Mutex<BTreeMap<Box<str>, Arc<str>>>,
}

impl DashboardState {
    /// What the store kept.
    pub(crate) fn restore(rows: Vec<DashboardRow>, pool: &Nodes, config: &Config) -> Self {
        let state =
            Self { groups: Arc::default(), config: ArcSwap::from_pointee(config.clone()), values: Mutex::default() };
        state.configure(config);
        for DashboardRow { kind, key, value } in rows {
            match kind {
                DashboardKind::Storage => {
                    state.values.lock().insert(key, Arc::from(value));
                }
                DashboardKind::Selection => {
                    if let Err(why) = state.restore_selection(&key, &value, pool) {
                        tracing::warn!(group = &*key, member = &*value, why, "a selection is not restored");
                    }
                }
            }
        }
        state
    }

    fn restore_selection(&self, key: &str, value: &str, pool: &Nodes) -> Result<(), String> {
        let group = key.parse::<Group>().map_err(|error| error.to_string())?;
        let member = value.parse::<GroupMember>().map_err(|error| error.to_string())?;
        self.groups.select(pool, &group, Some(member)).map_err(|error| error.to_string())
    }

    /// Puts the settings of a configuration into force.
    pub(crate) fn configure(&self, config: &Config) {
        self.groups.set_strict(config.clash.strict);
        self.config.store(Arc::new(config.clone()));
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Selects a member of a group; returns what has to be written.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when the group does not hold the member.
    pub(crate) fn select(&self, pool: &Nodes, group: &Group, member: Option<GroupMember>) -> Result<Change, ApiError> {
        let selected = self.groups.select(pool, group, member.clone());
        selected.map_err(|error| ApiError::BadRequest(error.to_string()))?;
        let (kind, key) = (DashboardKind::Selection, group.to_string().into());
        Ok(match member {
            Some(member) => Change::PutDashboard(DashboardRow { kind, key, value: member.to_string().into() }),
            None => Change::RemoveDashboard(kind, key),
        })
    }

    /// Takes over what a dashboard keeps through another process.
    pub(crate) fn adopt(&self, row: DashboardRow, pool: &Nodes) {
        let DashboardRow { kind, key, value } = row;
        match kind {
            DashboardKind::Storage => {
                self.values.lock().insert(key, Arc::from(value));
            }
            DashboardKind::Selection => {
                if let Err(why) = self.restore_selection(&key, &value, pool) {
                    tracing::debug!(group = &*key, member = &*value, why, "a selection is not taken over");
                }
            }
        }
    }

    /// Takes over that a dashboard no longer keeps something.
    pub(crate) fn adopt_removal(&self, kind: DashboardKind, key: &str, pool: &Nodes) {
        match (kind, key.parse::<Group>()) {
            (DashboardKind::Storage, _) => {
                self.values.lock().remove(key);
            }
            // Nothing is selected afterwards, which is always possible.
            (DashboardKind::Selection, Ok(group)) => {
                let _ = self.groups.select(pool, &group, None);
            }
            (DashboardKind::Selection, Err(_)) => {}
        }
    }

    /// The kind and key of everything that is kept.
    pub(crate) fn keys(&self) -> Vec<(DashboardKind, Box<str>)> {
        let stored = self.values.lock().keys().map(|key| (DashboardKind::Storage, key.clone())).collect::<Vec<_>>();
        let selected =
            self.groups.list().into_iter().map(|(group, _)| (DashboardKind::Selection, group.to_string().into()));
        stored.into_iter().chain(selected).collect()
    }

    /// What is stored under a key.
    pub(crate) fn value(&self, key: &str) -> Option<Arc<str>> {
        self.values.lock().get(key).cloned()
    }

    /// Stores something under a key, or removes it; returns what has to be written.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when there are too many keys.
    pub(crate) fn set_value(&self, key: &str, value: Option<Arc<str>>) -> Result<Change, ApiError> {
        let mut values = self.values.lock();
        let kind = DashboardKind::Storage;
        let Some(value) = value else {
            values.remove(key);
            return Ok(Change::RemoveDashboard(kind, key.into()));
        };
        if values.len() >= MOST_KEYS && !values.contains_key(key) {
            return Err(ApiError::BadRequest(format!("there may be {MOST_KEYS} keys at most; delete some first")));
        }
        values.insert(key.into(), value.clone());
        Ok(Change::PutDashboard(DashboardRow { kind, key: key.into(), value: Box::from(&*value) }))
    }
}

/// The level of a filter such as `hezar_probe=debug,info`, in the words of Clash.
pub(crate) fn level_in_clash_words(filter: &str) -> &'static str {
    let level = filter.split(',').map(str::trim).rfind(|part| !part.contains('=')).unwrap_or_default();
    match level {
        "trace" | "debug" => "debug",
        "warn" => "warning",
        "error" => "error",
        "off" => "silent",
        _ => "info",
    }
}

/// The filter with another level in the words of Clash; what it says of single modules stays.
pub(crate) fn with_level(filter: &str, clash_level: &str) -> String {
    let level = match clash_level {
        "warning" => "warn",
        "silent" => "off",
        level => level,
    };
    let modules = filter.split(',').map(str::trim).filter(|part| part.contains('='));
    modules.chain([level]).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn config() -> Config {
        Config::read("", None, &Layers::default()).unwrap()
    }

    #[test]
    fn what_was_selected_and_stored_is_there_after_a_restart() {
        let pool = Nodes::new(hezar_pool::Rules::default());
        let id = hezar_core::NodeId::from_bytes([1; 16]);
        let state = DashboardState::restore(Vec::new(), &pool, &config());
        let changes = [
            state.select(&pool, &Group::Pool, Some(GroupMember::Node(id))),
            state.select(&pool, &Group::Country(*b"DE"), Some(GroupMember::Node(id))),
            state.set_value("theme", Some("\"dark\"".into())),
            state.set_value("gone", Some("1".into())),
        ];
        let mut rows: Vec<DashboardRow> = changes
            .into_iter()
            .map(|change| match change.unwrap() {
                Change::PutDashboard(row) => row,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(state.set_value("gone", None), Ok(Change::RemoveDashboard(DashboardKind::Storage, "gone".into())));
        rows.pop();
        rows.push(DashboardRow { kind: DashboardKind::Selection, key: "odd".into(), value: "odd".into() });
        let restored = DashboardState::restore(rows, &pool, &config());
        assert_eq!(restored.groups.get(&Group::Pool), Some(GroupMember::Node(id)));
        assert_eq!(restored.groups.list().len(), 2);
        assert_eq!((restored.value("theme").as_deref(), restored.value("gone")), (Some("\"dark\""), None));
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let pool = Nodes::new(hezar_pool::Rules::default());
        let state = DashboardState::restore(Vec::new(), &pool, &config());
        assert!((0..MOST_KEYS).all(|n| state.set_value(&n.to_string(), Some("1".into())).is_ok()));
        assert!(matches!(state.set_value("one more", Some("1".into())), Err(ApiError::BadRequest(_))));
        assert!(state.set_value("0", Some("2".into())).is_ok(), "one that is there may change");
    }

    #[test]
    fn levels_are_told_in_the_words_of_clash() {
        for (filter, level) in
            [("info", "info"), ("hezar_probe=debug,warn", "warning"), ("trace", "debug"), ("", "info")]
        {
            assert_eq!(level_in_clash_words(filter), level);
        }
    }

    #[test]
    fn another_level_leaves_what_is_said_of_modules() {
        for (filter, level, changed) in [
            ("info", "debug", "debug"),
            ("hezar_probe=debug,info", "warning", "hezar_probe=debug,warn"),
            ("info, hezar_pool=trace", "silent", "hezar_pool=trace,off"),
            ("", "error", "error"),
        ] {
            assert_eq!(with_level(filter, level), changed);
            assert_eq!(level_in_clash_words(changed), level);
        }
    }
}
