//! Objects of the store beside what the file says: one tree, one parser, and the place of every mistake.

use std::{collections::BTreeMap, fmt};

use hezar_core::Timestamp;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Problem, lines::Lines};

/// A kind of objects that can be made, changed and removed while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// `[[source]]`.
    Source,
    /// `[[listener]]`.
    Listener,
    /// `[[proxy.users]]`.
    User,
    /// `[[subscription]]`.
    Subscription,
    /// One key of a section, named by its path, such as `probe.interval`.
    Setting,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Source, Self::Listener, Self::User, Self::Subscription, Self::Setting];

    /// Its name, such as `source`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Listener => "listener",
            Self::User => "user",
            Self::Subscription => "subscription",
            Self::Setting => "setting",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What names an object: unique over the file and the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// The object of a kind with a name.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// What removes it from the store, as a command.
    fn removal(&self) -> String {
        match self.kind {
            ObjectKind::Setting => format!("hezar settings unset {}", self.name),
            kind => format!("hezar {} remove {}", kind.name(), self.name),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ObjectKind::Setting => f.write_str(&self.name),
            kind => write!(f, "{} {:?}", kind.name(), self.name),
        }
    }
}

/// An object that lies in the store, in the shape in which it would stand in the file. It may hold passwords, so it has no `Debug`.
#[derive(Clone, PartialEq)]
pub struct StoredObject {
    /// What names it.
    pub key: ObjectKey,
    /// A table, or the value of a setting.
    pub value: Json,
    /// When it was made or changed last.
    pub changed: Timestamp,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// In the file, on this line (counted from 1) as far as it is known.
    File {
        /// The line.
        line: Option<usize>,
    },
    /// By this environment variable.
    Environment(String),
    /// By a flag of the command line.
    Flag,
    /// In the store.
    Store,
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line: Some(line) } => write!(f, "line {line} of the configuration file"),
            Self::File { line: None } => f.write_str("the configuration file"),
            Self::Environment(variable) => write!(f, "the environment variable {variable}"),
            Self::Flag => f.write_str("a flag of the command line"),
            Self::Store => f.write_str("the store"),
        }
    }
}

/// Where the objects of the store have been put into the file's tree, by key path (`source[3]`, `probe.interval`).
#[derive(Debug, Default)]
pub(super) struct StoredPlaces(BTreeMap<String, ObjectKey>);

impl StoredPlaces {
    /// The object that a key path lies in, and the rest of the path.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(&ObjectKey, &'p str)> {
        self.0.iter().find_map(|(place, key)| {
            let rest = path.strip_prefix(place.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some((key, rest))
        })
    }
}

/// Puts objects of the store into the file's tree. An object whose name the file says too is left out of the tree, and a problem names
/// both places.
pub(super) fn merge<'o>(
    table: &mut Table,
    objects: impl Iterator<Item = &'o StoredObject>,
    lines: &Lines,
    layered: impl Fn(&str) -> Option<ConfigOrigin>,
) -> (StoredPlaces, Vec<Problem>) {
    let (mut places, mut problems) = (StoredPlaces::default(), Vec::new());
    for object in objects {
        let put = match object.key.kind {
            ObjectKind::Setting => put_setting(table, object, lines, &layered),
            ObjectKind::Source => put_table(table, "source", object, lines),
            ObjectKind::Listener => put_table(table, "listener", object, lines),
            ObjectKind::Subscription => put_table(table, "subscription", object, lines),
            ObjectKind::User => match table.entry("proxy").or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(proxy) => put_into(proxy, "users", "proxy.users", object, lines),
                // The parser says what is wrong with it.
                _ => continue,
            },
        };
        match put {
            Ok(place) => {
                places.0.insert(place, object.key.clone());
            }
            Err(problem) => problems.push(problem),
        }
    }
    (places, problems)
}

fn put_table(table: &mut Table, key: &str, object: &StoredObject, lines: &Lines) -> Result<String, Problem> {
    put_into(table, key, key, object, lines)
}

/// Adds an object to a list of tables; returns its key path.
fn put_into(table: &mut Table, key: &str, path: &str, object: &StoredObject, lines: &Lines) -> Result<String, Problem> {
    let name = Value::String(object.key.name.clone());
    let Some(Value::Table(mut value)) = to_toml(&object.value) else {
        return Err(problem(&object.key, None, "expected a table of keys"));
    };
    value.insert("name".to_owned(), name.clone());
    let list = table.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    // What is no list is a mistake of the file, which the parser names.
    let Value::Array(list) = list else { return Ok(format!("{path}[0]")) };
    let same = |known: &Value| known.as_table().and_then(|known| known.get("name")) == Some(&name);
    if let Some(index) = list.iter().position(same) {
        return Err(clash(&object.key, &ConfigOrigin::File { line: lines.of(&format!("{path}[{index}].name")) }));
    }
    list.push(Value::Table(value));
    Ok(format!("{path}[{}]", list.len() - 1))
}

/// Sets one key of a section; returns its key path.
fn put_setting(
    table: &mut Table,
    object: &StoredObject,
    lines: &Lines,
    layered: impl Fn(&str) -> Option<ConfigOrigin>,
) -> Result<String, Problem> {
    let path = &object.key.name;
    let Some((section, key)) = path.split_once('.') else {
        return Err(problem(
            &object.key,
            None,
            "a setting is named by its section and its key, such as probe.interval",
        ));
    };
    if let Some(origin) = layered(path) {
        return Err(clash(&object.key, &origin));
    }
    let Some(value) = to_toml(&object.value) else { return Err(problem(&object.key, None, "expected a value")) };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        if section.contains_key(key) {
            return Err(clash(&object.key, &ConfigOrigin::File { line: lines.of(path) }));
        }
        section.insert(key.to_owned(), value);
    }
    Ok(path.clone())
}

fn clash(key: &ObjectKey, origin: &ConfigOrigin) -> Problem {
    let line = match origin {
        ConfigOrigin::File { line } => *line,
        _ => None,
    };
    let message = format!(
        "it is said twice, by {origin} and in the store: change it in one of these places, or remove the one in the store (`{}`)",
        key.removal()
    );
    problem(key, line, message)
}

fn problem(key: &ObjectKey, line: Option<usize>, message: impl Into<String>) -> Problem {
    Problem { path: key.to_string(), line, object: Some(key.clone()), message: message.into() }
}

/// A JSON value as it would stand in the file; `None` for null. Keys with null are left out.
pub(super) fn to_toml(value: &Json) -> Option<Value> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(on) => Value::Boolean(*on),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(values) => Value::Array(values.iter().filter_map(to_toml).collect()),
        Json::Object(pairs) => {
            Value::Table(pairs.iter().filter_map(|(key, value)| Some((key.clone(), to_toml(value)?))).collect())
        }
    })
}

/// A value of the file as JSON; dates are texts.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(on) => Json::Bool(*on),
        Value::Datetime(moment) => Json::String(moment.to_string()),
        Value::Array(values) => Json::Array(values.iter().map(to_json).collect()),
        Value::Table(table) => Json::Object(table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect()),
    }
}
