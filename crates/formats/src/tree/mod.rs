//! A small tree for YAML and JSON, in which every scalar keeps its text.

pub(crate) mod headers;
pub(crate) mod json;
#[cfg(test)]
mod tests;

use crate::field;

/// How deeply maps and lists may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value. Numbers and booleans stay texts: `12345678` may be a password and `1e5` a short id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    /// Without quotes: a number, a boolean, or in YAML any word.
    Plain(Box<str>),
    Quoted(Box<str>),
    List(Vec<Self>),
    /// In published order; a key may repeat, and then the first one counts.
    Map(Vec<(Box<str>, Self)>),
    /// A piece that could not be read, with its text.
    Broken(Box<str>),
}

static NULL: Tree = Tree::Null;

impl Tree {
    /// The value of a key; [`Tree::Null`] when there is none.
    pub(crate) fn get(&self, key: &str) -> &Self {
        self.pairs().iter().find(|(name, _)| name.as_ref() == key).map_or(&NULL, |(_, value)| value)
    }

    /// The first of these keys that has a value.
    pub(crate) fn any(&self, keys: &[&str]) -> &Self {
        keys.iter().map(|key| self.get(key)).find(|value| !value.is_null()).unwrap_or(&NULL)
    }

    /// The text of the scalar under the first of these keys that is not empty; else an empty text.
    pub(crate) fn text(&self, keys: &[&str]) -> &str {
        keys.iter().map(|key| self.get(key).scalar()).find(|text| !text.is_empty()).unwrap_or("")
    }

    /// Whether the first of these keys that has a value is switched on.
    pub(crate) fn flag(&self, keys: &[&str]) -> bool {
        field::truth(self.any(keys).scalar())
    }

    /// A number under the first of these keys that has a text.
    pub(crate) fn number<N: std::str::FromStr>(&self, keys: &[&str]) -> Option<N> {
        self.text(keys).trim().parse().ok()
    }

    /// The text of a scalar, or of the first member of a list; else an empty text.
    pub(crate) fn scalar(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Quoted(text) => text,
            Self::List(items) => match items.first() {
                Some(Self::Plain(text) | Self::Quoted(text)) => text,
                _ => "",
            },
            Self::Null | Self::Map(_) | Self::Broken(_) => "",
        }
    }

    /// The texts of a list, or the one text of a scalar; empty ones are left out.
    pub(crate) fn texts(&self) -> Vec<Box<str>> {
        let one = |tree: &Self| tree.is_scalar().then(|| tree.scalar()).and_then(field::filled);
        match self {
            Self::List(items) => items.iter().filter_map(one).collect(),
            other => one(other).into_iter().collect(),
        }
    }

    /// Like [`Tree::texts`], and a scalar is a comma-separated list.
    pub(crate) fn words(&self) -> Vec<Box<str>> {
        if self.is_scalar() { field::list(self.scalar()) } else { self.texts() }
    }

    /// The members of a list.
    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// The members of a map.
    pub(crate) fn pairs(&self) -> &[(Box<str>, Self)] {
        if let Self::Map(pairs) = self { pairs } else { &[] }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) const fn is_scalar(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Quoted(_))
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// Compact JSON.
    pub(crate) fn json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Plain(text) if is_json_word(text) => out.push_str(text),
            Self::Plain(text) | Self::Quoted(text) | Self::Broken(text) => quote(out, text),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(pairs) => {
                out.push('{');
                for (at, (key, value)) in pairs.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    quote(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Whether an unquoted text means the same in JSON.
pub(crate) fn is_json_word(text: &str) -> bool {
    if matches!(text, "true" | "false") {
        return true;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    digits.starts_with(|c: char| c.is_ascii_digit())
        && !leading_zero
        && text.len() <= 40
        && serde_json::from_str::<f64>(text).is_ok()
}

/// Writes a text in double quotes so that JSON and YAML readers both take it.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // YAML 1.2 §5.1 allows none of these unescaped; all of them lie in the basic plane.
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Builds a map, leaving out what is null: the writers' way to say "absent".
#[derive(Default)]
pub(crate) struct MapBuilder(Vec<(Box<str>, Tree)>);

impl MapBuilder {
    pub(crate) fn put(&mut self, key: &str, value: Tree) -> &mut Self {
        if !value.is_null() {
            self.0.push((key.into(), value));
        }
        self
    }

    /// A text, left out when empty.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        if value.is_empty() { self } else { self.put(key, Tree::Quoted(value.into())) }
    }

    /// A text that must be there even when it is empty.
    pub(crate) fn required(&mut self, key: &str, value: &str) -> &mut Self {
        self.put(key, Tree::Quoted(value.into()))
    }

    pub(crate) fn number(&mut self, key: &str, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.put(key, Tree::Plain(value.to_string().into())),
            None => self,
        }
    }

    /// A switch, left out when off.
    pub(crate) fn flag(&mut self, key: &str, on: bool) -> &mut Self {
        if on { self.put(key, Tree::Plain("true".into())) } else { self }
    }

    /// A list of texts, left out when empty.
    pub(crate) fn texts(&mut self, key: &str, values: &[Box<str>]) -> &mut Self {
        if values.is_empty() {
            return self;
        }
        self.put(key, Tree::List(values.iter().cloned().map(Tree::Quoted).collect()))
    }

    /// A map, left out when empty.
    pub(crate) fn map(&mut self, key: &str, value: Self) -> &mut Self {
        if value.0.is_empty() { self } else { self.put(key, value.into_tree()) }
    }

    /// Adds all members of another map.
    pub(crate) fn append(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    /// The members of a map; nothing of any other tree.
    pub(crate) fn from_tree(tree: Tree) -> Self {
        if let Tree::Map(pairs) = tree { Self(pairs) } else { Self::default() }
    }

    pub(crate) fn into_tree(self) -> Tree {
        Tree::Map(self.0)
    }
}
