//! One table of the configuration, read key by key, with every problem noted beside its path.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use hezar_core::settings::{self, Mistake, Setting, SettingValue, Settings};
use toml::{Table, Value};

use super::{
    ConfigOrigin, Layers, ObjectKey, ObjectKind, Problem, StoredObject,
    environment::is_service_link,
    lines::Lines,
    nearest::nearest,
    objects::{self, StoredPlaces},
    redact,
};

/// What all sections of one reading share. It holds secrets, so it has no `Debug`.
pub(crate) struct Reading<'a> {
    layers: &'a Layers,
    lines: Lines,
    /// Where the objects of the store are.
    stored: StoredPlaces,
    problems: RefCell<Vec<Problem>>,
    used: RefCell<BTreeSet<String>>,
    origins: RefCell<BTreeMap<ObjectKey, ConfigOrigin>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(layers: &'a Layers, text: &str) -> Self {
        Self {
            layers,
            lines: Lines::read(text),
            stored: StoredPlaces::default(),
            problems: RefCell::default(),
            used: RefCell::default(),
            origins: RefCell::default(),
        }
    }

    /// Puts the objects of the store into the tree that is read.
    pub(crate) fn merge(&mut self, table: &mut Table, stored: &[StoredObject]) {
        let (places, problems) = objects::merge(table, stored.iter(), &self.lines, |path| {
            self.layered(path).map(|(variable, _)| self.origin_of_layer(path, variable))
        });
        self.stored = places;
        self.problems.borrow_mut().extend(problems);
    }

    pub(crate) fn problem(&self, path: impl Into<String>, message: impl Display) {
        let (path, message) = (path.into(), message.to_string());
        let problem = match self.stored.find(&path) {
            Some((key, rest)) => {
                Problem { path: format!("{key}{rest}"), line: None, object: Some(key.clone()), message }
            }
            None => Problem { line: self.lines.of(&path), path, object: None, message },
        };
        self.problems.borrow_mut().push(problem);
    }

    /// A key path as messages name it: what lies in the store by its name, not by its number.
    pub(crate) fn shown_path(&self, path: &str) -> String {
        self.stored.find(path).map_or_else(|| path.to_owned(), |(key, rest)| format!("{key}{rest}"))
    }

    /// Notes where an object or a setting with this key path is said.
    pub(crate) fn note_origin(&self, key: ObjectKey, path: &str) {
        let origin = match self.stored.find(path) {
            Some(_) => ConfigOrigin::Store,
            None => ConfigOrigin::File { line: self.lines.of(path) },
        };
        self.origins.borrow_mut().insert(key, origin);
    }

    fn origin_of_layer(&self, path: &str, variable: String) -> ConfigOrigin {
        if self.layers.flags.contains_key(path) { ConfigOrigin::Flag } else { ConfigOrigin::Environment(variable) }
    }

    /// Where everything is said that is said at all.
    pub(crate) fn origins(&self) -> BTreeMap<ObjectKey, ConfigOrigin> {
        self.origins.take()
    }

    /// All problems in the order of the file, and a warning for each variable that no key asked for.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        let used = self.used.into_inner();
        let mut warnings = Vec::new();
        for (name, value) in &self.layers.environment {
            if used.contains(name) || is_service_link(name, value) {
                continue;
            }
            let near = nearest(used.iter().map(String::as_str), name);
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            warnings
                .push(format!("no key of the configuration has the environment variable {name}: it is ignored{near}"));
        }
        let mut problems = self.problems.into_inner();
        // What does not stand in the file comes last.
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        (problems, warnings)
    }

    /// The text that a flag or the environment gives for a key.
    fn layered(&self, path: &str) -> Option<(String, String)> {
        let variable = format!("HEZAR_{}", path.replace('.', "_").to_ascii_uppercase());
        self.used.borrow_mut().insert(variable.clone());
        if let Some(text) = self.layers.flags.get(path) {
            return Some((path.to_owned(), text.clone()));
        }
        let text = self.layers.environment.get(&variable).filter(|text| !is_service_link(&variable, text))?;
        Some((variable, text.clone()))
    }
}

/// A table whose keys are taken out one by one; what is left at the end is unknown.
pub(crate) struct Section<'a> {
    reading: &'a Reading<'a>,
    path: String,
    table: Table,
    known: Vec<&'static str>,
    /// The known keys that were given, right or wrong.
    given: Vec<&'static str>,
}

/// A value and the place it came from.
struct Given {
    key: &'static str,
    place: String,
    value: Value,
    /// Whether it is a text from the environment or a flag, which may stand for any type.
    loose: bool,
}

impl Given {
    fn to_core(&self) -> settings::Given {
        match &self.value {
            Value::String(text) if self.loose => settings::Given::Variable(text.clone()),
            value => to_core(value),
        }
    }
}

fn to_core(value: &Value) -> settings::Given {
    match value {
        Value::Boolean(on) => settings::Given::Boolean(*on),
        Value::Integer(number) => settings::Given::Integer(*number),
        Value::String(text) => settings::Given::Text(text.clone()),
        Value::Array(values) => settings::Given::List(values.iter().map(to_core).collect()),
        Value::Table(table) => {
            settings::Given::Table(table.iter().map(|(key, value)| (key.clone(), to_core(value))).collect())
        }
        // TOML's own dates are written as the texts are.
        Value::Datetime(moment) => settings::Given::Text(moment.to_string()),
        other => settings::Given::Other(other.type_str()),
    }
}

impl<'a> Section<'a> {
    pub(crate) fn new(reading: &'a Reading<'a>, path: &str, table: Table) -> Self {
        Self { reading, path: path.to_owned(), table, known: Vec::new(), given: Vec::new() }
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn problem(&self, key: &str, message: impl Display) {
        self.reading.problem(self.path_of(key), message);
    }

    fn take(&mut self, key: &'static str) -> Option<Given> {
        self.known.push(key);
        let path = self.path_of(key);
        let file = self.table.remove(key);
        // Entries of a list have no variable of their own: their number would change with the file.
        let layered = if path.contains('[') { None } else { self.reading.layered(&path) };
        if layered.is_some() || file.is_some() {
            self.given.push(key);
            self.note_setting(&path, layered.as_ref());
        }
        match layered {
            Some((place, text)) => Some(Given { key, place, value: Value::String(text), loose: true }),
            None => file.map(|value| Given { key, place: path, value, loose: false }),
        }
    }

    /// Notes where a setting is said. What stands in lists is noted as a whole.
    fn note_setting(&self, path: &str, layered: Option<&(String, String)>) {
        if path.contains('[') {
            return;
        }
        let key = ObjectKey::new(ObjectKind::Setting, path);
        match layered {
            Some((variable, _)) => {
                let origin = self.reading.origin_of_layer(path, variable.clone());
                self.reading.origins.borrow_mut().insert(key, origin);
            }
            None => self.reading.note_origin(key, path),
        }
    }

    fn wrong(&self, given: &Given, expected: impl Display) {
        let found = redact::wrong_value(given.key, &given.value);
        self.reading.problem(&given.place, format_args!("expected {expected}, found {found}"));
    }

    /// Takes a key and converts its text.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.take(key)?;
        let result = given.value.as_str().and_then(read);
        if result.is_none() {
            self.wrong(&given, expected);
        }
        result
    }

    /// Takes a key of any type that a setting may have.
    pub(crate) fn value<T: SettingValue>(&mut self, key: &'static str, range: &T::Range) -> Option<T> {
        let given = self.take(key)?;
        T::read(&given.to_core(), range).map_err(|mistakes| self.note(&given, mistakes)).ok()
    }

    /// Takes every setting of a struct that stands in this section.
    pub(crate) fn fill<S: Settings>(&mut self, settings: &mut S) {
        let path = self.path.clone();
        self.fill_where(settings, |setting| setting.section() == path);
    }

    /// Takes every setting of a struct, whose section is one of many of its kind (`source[2]`).
    pub(crate) fn fill_object<S: Settings>(&mut self, settings: &mut S) {
        self.fill_where(settings, |_| true);
    }

    fn fill_where<S: Settings>(&mut self, settings: &mut S, is_here: impl Fn(&Setting<S>) -> bool) {
        for setting in S::ALL.iter().filter(|setting| is_here(setting)) {
            let Some(given) = self.take(setting.key()) else { continue };
            if let Err(mistakes) = (setting.read)(settings, &given.to_core()) {
                self.note(&given, mistakes);
            }
        }
    }

    fn note(&self, given: &Given, mistakes: Vec<Mistake>) {
        for mistake in mistakes {
            match mistake {
                Mistake::Expected(expected) => self.wrong(given, expected),
                Mistake::Message(message) => self.reading.problem(&given.place, message),
            }
        }
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.value(key, &())
    }

    /// A table inside this one; an empty one when it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Self {
        self.known.push(key);
        let path = self.path_of(key);
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => {
                self.note_setting(&path, None);
                table
            }
            Some(value) => {
                self.problem(key, format_args!("expected a table [{path}], found {}", value.type_str()));
                Table::new()
            }
        };
        Section::new(self.reading, &path, table)
    }

    /// A table inside this one; `None` when it is absent.
    pub(crate) fn section_where_given(&mut self, key: &'static str) -> Option<Self> {
        let is_given = self.table.contains_key(key);
        let section = self.section(key);
        is_given.then_some(section)
    }

    /// An array of tables.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        self.known.push(key);
        let values = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) => {
                self.note_setting(&self.path_of(key), None);
                values
            }
            Some(value) => {
                let path = self.path_of(key);
                self.problem(key, format_args!("expected tables [[{path}]], found {}", value.type_str()));
                return Vec::new();
            }
        };
        let mut sections = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(key));
            match value {
                Value::Table(table) => sections.push(Section::new(self.reading, &path, table)),
                value => self.reading.problem(path, format_args!("expected a table, found {}", value.type_str())),
            }
        }
        sections
    }

    /// Notes every key that nobody took.
    pub(crate) fn finish(self) {
        for key in self.table.keys() {
            match nearest(self.known.iter().copied(), key) {
                Some(near) => self.problem(key, format_args!("unknown key; did you mean {near:?}?")),
                None => self.problem(key, format_args!("unknown key; known here: {}", self.known.join(", "))),
            }
        }
    }

    /// Whether a key that was taken before was given at all.
    pub(crate) fn was_given(&self, key: &str) -> bool {
        self.given.contains(&key)
    }
}
