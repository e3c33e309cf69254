//! What can be said, for programs: every setting with its value and place, and the JSON schema of each kind of objects.

use hezar_api::SettingDto;
use serde_json::{Map, Value as Json, json};
use toml::Table;

use super::{
    Config, ConfigOrigin, ObjectKey, ObjectKind,
    described::{Described, REQUIRED, keys_of},
    objects::to_json,
    show,
};

/// What is read at the start only, as keys or as the beginnings of keys.
const FIXED: [&str; 5] = ["data", "store.", "cluster.", "tor.", "engine."];

/// What names programs that are started: whoever may write these may run programs, so the API never changes them.
const PROGRAMS: [&str; 2] = ["sidecar.mihomo", "sidecar.xray"];

/// Whether the API may change a setting, named by its path such as `probe.interval`.
pub(crate) fn is_changeable(path: &str) -> bool {
    !needs_restart(path) && !PROGRAMS.contains(&path)
}

/// Whether a setting is read at the start only.
pub(crate) fn needs_restart(path: &str) -> bool {
    FIXED.iter().any(|fixed| if fixed.ends_with('.') { path.starts_with(fixed) } else { path == *fixed })
}

/// Whether there is a setting with this path, such as `probe.interval`.
pub(crate) fn is_setting(path: &str) -> bool {
    path.split_once('.').is_some_and(|(section, key)| {
        keys_of(ObjectKind::Setting).iter().any(|known| known.section == section && known.key == key)
    })
}

/// Every setting of every section with what is in force.
pub(crate) fn settings(config: &Config) -> Vec<SettingDto> {
    let shown = show::root(config);
    let described = keys_of(ObjectKind::Setting).into_iter().filter(|key| key.key != "users");
    described.map(|key| setting(&key, config, &shown)).collect()
}

fn setting(described: &Described, config: &Config, shown: &Table) -> SettingDto {
    let path = format!("{}.{}", described.section, described.key);
    let value = shown.get(described.section).and_then(|section| section.get(&described.key)).map(to_json);
    let (origin, line, variable) = place(config.origins.get(&ObjectKey::new(ObjectKind::Setting, path.as_str())));
    SettingDto {
        changeable: is_changeable(&path),
        key: path,
        about: sentence(&described.doc),
        expected: described.expected.clone(),
        choices: described.choices.iter().map(|choice| (*choice).to_owned()).collect(),
        types: described.json_types.iter().map(|name| (*name).to_owned()).collect(),
        default: default_of(described),
        value,
        origin: origin.to_owned(),
        line,
        variable,
    }
}

/// The name of a place in the API, its line in the file, and its environment variable.
pub(crate) fn place(origin: Option<&ConfigOrigin>) -> (&'static str, Option<usize>, Option<String>) {
    match origin {
        None => ("default", None, None),
        Some(ConfigOrigin::File { line }) => ("file", *line, None),
        Some(ConfigOrigin::Environment(variable)) => ("environment", None, Some(variable.clone())),
        Some(ConfigOrigin::Flag) => ("flag", None, None),
        Some(ConfigOrigin::Store) => ("store", None, None),
    }
}

/// The tables of objects of which there may be many in one.
const LISTS: [&str; 2] = ["feedback", "links"];

/// The JSON schema (draft 2020-12) of a kind of objects.
pub(crate) fn schema(kind: ObjectKind) -> Json {
    let keys = keys_of(kind);
    let mut properties = Map::new();
    for key in keys {
        match key.key.split_once('.') {
            Some((list, inner)) if LISTS.contains(&list) => {
                let list = properties.entry(list).or_insert_with(|| json!({ "type": "array", "items": empty_table() }));
                list["items"]["properties"][inner] = property(&key);
            }
            None => {
                properties.insert(key.key.clone(), property(&key));
            }
            Some((table, inner)) => {
                let table = properties.entry(table).or_insert_with(empty_table);
                table["properties"][inner] = property(&key);
            }
        }
    }
    if let Some(users) = properties.get_mut("users") {
        users["items"] = schema(ObjectKind::User);
    }
    let required: Vec<&str> = REQUIRED.into_iter().filter(|name| properties.contains_key(*name)).collect();
    json!({ "title": kind.name(), "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn empty_table() -> Json {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// One key: its text, its types, its default and what it may be, in words.
fn property(key: &Described) -> Json {
    let mut property = json!({
        "type": key.json_types,
        "description": sentence(&key.doc),
        "x-expected": key.expected,
    });
    if !key.choices.is_empty() {
        property["enum"] = json!(key.choices);
    }
    if let Some(default) = default_of(key) {
        property["default"] = default;
    }
    property
}

fn default_of(key: &Described) -> Option<Json> {
    let table: Table = toml::from_str(&format!("value = {}", key.default.as_ref()?)).ok()?;
    table.get("value").map(to_json)
}

fn sentence(doc: &[&str]) -> String {
    doc.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[test]
    fn every_setting_has_its_value_and_place() {
        let config = Config::read("[probe]\ninterval = \"9s\"\n", None, &Layers::default()).unwrap();
        let all = settings(&config);
        let find = |key: &str| all.iter().find(|setting| setting.key == key).unwrap();
        let interval = find("probe.interval");
        assert_eq!((interval.value.clone(), &*interval.origin, interval.line), (Some("9s".into()), "file", Some(2)));
        assert!(interval.changeable && interval.default.is_some() && !interval.about.is_empty());
        assert!(!find("store.url").changeable && find("proxy.strategy").choices.len() > 3);
        assert_eq!(find("api.token").value, None);
        assert!(all.len() > 50, "{}", all.len());
    }

    #[test]
    fn the_schema_of_an_object_says_what_the_parser_takes() {
        for kind in [ObjectKind::Source, ObjectKind::Listener, ObjectKind::User] {
            let schema = schema(kind);
            let properties = schema["properties"].as_object().unwrap();
            assert!(properties.values().all(|property| property["type"].is_array() || property["type"].is_string()));
        }
        let user = schema(ObjectKind::User);
        assert_eq!(user["properties"]["quota"]["properties"]["day"]["type"], json!(["integer", "string"]));
        assert_eq!(user["required"], json!(["name"]));
        assert_eq!(schema(ObjectKind::Source)["properties"]["via"]["enum"], json!(["auto", "direct", "pool"]));
        assert_eq!(schema(ObjectKind::Source)["properties"]["interval"]["default"], "30m");
        assert_eq!(schema(ObjectKind::Listener)["properties"]["users"]["items"]["title"], "user");
    }
}
