//! Reads the page of a judge, which says what a target saw of a request: JSON, the lines of a CGI script (`HTTP_VIA = …`),
//! what PHP prints (`[HTTP_VIA] => …`), raw header lines, or any of these in HTML.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// Fields that are read of one page at most.
const MAX_FIELDS: usize = 512;
/// The longest name of a field, in bytes.
const MAX_NAME: usize = 64;

/// What a page says, in its order. Names are in lower case with hyphens, and without the `HTTP_` that CGI puts in front of
/// the names of headers (RFC 3875 §4.1.18); values stand as they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Echo {
    fields: Vec<(String, String)>,
}

impl Echo {
    /// Reads a page. What is no field is left out.
    pub(crate) fn read(page: &[u8]) -> Self {
        let text = String::from_utf8_lossy(page);
        let mut echo = Self::default();
        match serde_json::from_str::<Value>(text.trim()) {
            Ok(value) => echo.add_json(&value),
            Err(_) => echo.add_text(&without_tags(&text)),
        }
        echo
    }

    /// The fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values of a field.
    pub(crate) fn values<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields().filter(move |(name, _)| *name == wanted).map(|(_, value)| value)
    }

    fn add(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let name = name.strip_prefix("http-").unwrap_or(&name);
        if self.fields.len() < MAX_FIELDS && !name.is_empty() {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes the names and texts of an object, and pairs of texts in a list; a name may have several values.
    fn add_json(&mut self, value: &Value) {
        match value {
            Value::Object(object) => {
                if let (Some(Value::String(name)), Some(Value::String(value))) =
                    (object.get("name"), object.get("value"))
                {
                    return self.add(name, value);
                }
                for (name, value) in object {
                    match value {
                        Value::String(text) => self.add(name, text),
                        Value::Array(values) if values.iter().all(Value::is_string) => {
                            values.iter().filter_map(Value::as_str).for_each(|text| self.add(name, text));
                        }
                        inner => self.add_json(inner),
                    }
                }
            }
            Value::Array(values) => match values.as_slice() {
                [Value::String(name), Value::String(value)] => self.add(name, value),
                values => values.iter().for_each(|value| self.add_json(value)),
            },
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let Some((name, value)) = field(line) else { continue };
            // `var_dump` writes the value on the next line.
            let next = lines.next_if(|next| value.is_empty() && field(next).is_none());
            self.add(name, unquoted(next.unwrap_or(value)));
        }
    }
}

/// The addresses that a value names: in lists, in `for=` (RFC 7239), with ports, in brackets.
pub(crate) fn addresses(value: &str) -> impl Iterator<Item = IpAddr> {
    value.split([',', ';', '=', '"', '\'', '(', ')', ' ', '\t']).filter_map(|word| {
        let bare = || word.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let address = bare().or_else(|| word.parse::<SocketAddr>().ok().map(|address| address.ip()));
        address.map(|address: IpAddr| address.to_canonical())
    })
}

/// A line as name and value, by the first sign that stands between the two.
fn field(line: &str) -> Option<(&str, &str)> {
    // Cells of a table begin with the sign, too.
    let line = line.trim_start_matches([':', ' ']);
    let at = line.find(['=', ':'])?;
    let (name, rest) = line.split_at(at);
    let value = rest.strip_prefix("=>").or_else(|| rest.get(1..))?;
    let name =
        name.trim().trim_start_matches("$_SERVER").trim_matches(|c: char| "[]'\"".contains(c) || c.is_whitespace());
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.len() <= MAX_NAME && name.chars().all(token)).then(|| (name, value.trim()))
}

/// A value without what languages write around texts: `string(9) "1.2.3.4"`, `'1.2.3.4',`.
fn unquoted(value: &str) -> &str {
    let value = value.trim_end_matches(',').trim();
    let counted = value.strip_prefix("string(").and_then(|rest| rest.split_once(") "));
    let value = counted.map_or(value, |(_, text)| text);
    let quoted = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// A text whose tags are replaced by the sign or the line break that they stand for.
fn without_tags(text: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, tagged)) = rest.split_once('<') {
        plain.push_str(before);
        let Some((tag, after)) = tagged.split_once('>') else {
            plain.push('<');
            rest = tagged;
            break;
        };
        plain.push_str(stands_for(tag));
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// Cells of a row are name and value; everything else that is no mere font begins a line.
fn stands_for(tag: &str) -> &'static str {
    let name = tag.split(|c: char| c.is_whitespace() || c == '/').find(|word| !word.is_empty()).unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        "td" | "th" if !tag.starts_with('/') => " : ",
        "td" | "th" | "b" | "i" | "strong" | "em" | "code" | "span" | "font" | "tt" | "a" => "",
        _ => "\n",
    }
}
