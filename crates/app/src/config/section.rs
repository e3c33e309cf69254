//! One table of the configuration, read key by key, with every problem noted beside its path.

use std::{cell::RefCell, collections::BTreeSet, fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration};

use toml::{Table, Value};
use url::Url;

use super::{Layers, Problem, value};

/// What all sections of one reading share.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    layers: &'a Layers,
    problems: RefCell<Vec<Problem>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Reading<'a> {
    pub(crate) const fn new(layers: &'a Layers) -> Self {
        Self { layers, problems: RefCell::new(Vec::new()), used: RefCell::new(BTreeSet::new()) }
    }

    pub(crate) fn problem(&self, path: impl Into<String>, message: impl Display) {
        self.problems.borrow_mut().push(Problem { path: path.into(), message: message.to_string() });
    }

    /// All problems, after noting the variables and flags that no key asked for.
    pub(crate) fn finish(self) -> Vec<Problem> {
        for name in self.layers.environment.keys() {
            if !self.used.borrow().contains(name) {
                self.problem(name, "no key of the configuration has this environment variable");
            }
        }
        self.problems.into_inner()
    }

    /// The text that a flag or the environment gives for a key.
    fn layered(&self, path: &str) -> Option<(String, String)> {
        let variable = format!("HEZAR_{}", path.replace('.', "_").to_ascii_uppercase());
        self.used.borrow_mut().insert(variable.clone());
        if let Some(text) = self.layers.flags.get(path) {
            return Some((path.to_owned(), text.clone()));
        }
        self.layers.environment.get(&variable).map(|text| (variable, text.clone()))
    }
}

/// A table whose keys are taken out one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    reading: &'a Reading<'a>,
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

/// A value and the place it came from.
struct Given {
    place: String,
    value: Value,
    /// Whether it is a text from the environment or a flag, which may stand for any type.
    loose: bool,
}

impl<'a> Section<'a> {
    pub(crate) fn new(reading: &'a Reading<'a>, path: &str, table: Table) -> Self {
        Self { reading, path: path.to_owned(), table, known: Vec::new() }
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
        match layered {
            Some((place, text)) => Some(Given { place, value: Value::String(text), loose: true }),
            None => file.map(|value| Given { place: path, value, loose: false }),
        }
    }

    fn wrong(&self, given: &Given, expected: impl Display) {
        let found = match &given.value {
            Value::String(text) => format!("{text:?}"),
            value => format!("{} {value}", value.type_str()),
        };
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

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, "a text", |text| Some(text.to_owned()))
    }

    pub(crate) fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let expected = format!(
            "a duration from {} to {}, such as \"30s\" or \"1h30m\"",
            value::show_duration(*range.start()),
            value::show_duration(*range.end())
        );
        self.parsed(key, &expected, |text| value::duration(text).filter(|d| range.contains(d)))
    }

    pub(crate) fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let given = self.take(key)?;
        let number = match &given.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) if given.loose => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            self.wrong(&given, format_args!("a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let given = self.take(key)?;
        let on = match &given.value {
            Value::Boolean(on) => Some(*on),
            Value::String(text) if given.loose => text.trim().parse().ok(),
            _ => None,
        };
        if on.is_none() {
            self.wrong(&given, "true or false");
        }
        on
    }

    pub(crate) fn address(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.parsed(key, "an address and a port, such as \"127.0.0.1:8000\" or \"[::1]:8000\"", |text| {
            text.parse().ok().or_else(|| text.strip_prefix("localhost:")?.parse().ok().map(loopback))
        })
    }

    pub(crate) fn url(&mut self, key: &'static str) -> Option<Url> {
        self.parsed(key, "an http or https URL", http_url)
    }

    pub(crate) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let given = self.take(key)?;
        let number = match &given.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => value::bytes(text),
            _ => None,
        };
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            self.wrong(&given, format_args!("a size from {low} to {high} bytes, such as \"32MiB\""));
        }
        number
    }

    /// A list of texts; from the environment, separated by commas.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let given = self.take(key)?;
        let texts = match &given.value {
            Value::Array(values) => values.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
            Value::String(text) if given.loose => {
                Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect())
            }
            Value::String(text) => Some(vec![text.clone()]),
            _ => None,
        };
        if texts.is_none() {
            self.wrong(&given, "a list of texts");
        }
        texts
    }

    /// A list of http or https URLs.
    pub(crate) fn urls(&mut self, key: &'static str) -> Option<Vec<Url>> {
        let texts = self.texts(key)?;
        let mut urls = Vec::with_capacity(texts.len());
        for text in texts {
            match http_url(&text) {
                Some(url) => urls.push(url),
                None => self.problem(key, format_args!("expected an http or https URL, found {text:?}")),
            }
        }
        Some(urls)
    }

    /// A table of texts.
    pub(crate) fn text_table(&mut self, key: &'static str) -> Option<Vec<(String, String)>> {
        let given = self.take(key)?;
        let pairs = given.value.as_table().and_then(|table| {
            table.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        });
        if pairs.is_none() {
            self.wrong(&given, "a table of texts");
        }
        pairs
    }

    /// A table inside this one; an empty one when it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Self {
        self.known.push(key);
        let path = self.path_of(key);
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(value) => {
                self.problem(key, format_args!("expected a table [{path}], found {}", value.type_str()));
                Table::new()
            }
        };
        Section::new(self.reading, &path, table)
    }

    /// An array of tables.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        self.known.push(key);
        let values = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
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
            let near = self.known.iter().find(|known| near(known, key));
            let known = self.known.join(", ");
            match near {
                Some(near) => self.problem(key, format_args!("unknown key; did you mean {near:?}?")),
                None => self.problem(key, format_args!("unknown key; known here: {known}")),
            }
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether one text becomes the other by at most two edits (Levenshtein), or differs only in `-` and `_`.
fn near(known: &str, key: &str) -> bool {
    if known == key.replace('-', "_") {
        return true;
    }
    let known: Vec<char> = known.chars().collect();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, c) in key.chars().take(64).enumerate() {
        let mut previous = row.first().copied().unwrap_or_default();
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, k) in known.iter().enumerate() {
            let (left, above) = (row.get(j).copied().unwrap_or_default(), row.get(j + 1).copied().unwrap_or_default());
            let cost = (previous + usize::from(*k != c)).min(left + 1).min(above + 1);
            previous = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = cost;
            }
        }
    }
    row.last().is_some_and(|&distance| distance <= 2 && distance < known.len())
}
