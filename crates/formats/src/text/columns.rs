//! Reads the first line of a table, which says what its columns are.

use std::borrow::Cow;

use hezar_core::NodeSpec;

use crate::{ListScheme, field};

/// The places of the columns that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    separator: char,
    host: usize,
    port: usize,
    user: Option<usize>,
    password: Option<usize>,
    scheme: Option<usize>,
}

const HOST: &[&str] = &["ip", "ipaddress", "host", "hostname", "address", "server", "proxyaddress", "proxyip"];
const PORT: &[&str] = &["port", "proxyport"];
const USER: &[&str] = &["user", "username", "login", "proxyuser", "proxyusername"];
const PASSWORD: &[&str] = &["pass", "password", "pwd", "proxypass", "proxypassword"];
const SCHEME: &[&str] = &["protocol", "protocols", "type", "scheme", "proxytype"];

impl Columns {
    /// Reads a line that names at least a host's and a port's column.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let separator = ['|', '\t', ';', ','].into_iter().max_by_key(|sign| line.matches(*sign).count())?;
        let names: Vec<String> = fields(line, separator).map(|name| letters(&name)).collect();
        let place = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        Some(Self {
            separator,
            host: place(HOST)?,
            port: place(PORT)?,
            user: place(USER),
            password: place(PASSWORD),
            scheme: place(SCHEME),
        })
    }

    /// Reads a row beneath it, a node for each protocol that it names; `None` for one that is something else.
    pub(super) fn read(&self, line: &str, default: ListScheme) -> Option<Vec<NodeSpec>> {
        let fields: Vec<Cow<'_, str>> = fields(line, self.separator).collect();
        let at = |place: usize| fields.get(place).map(AsRef::as_ref).unwrap_or_default();
        let text = |place: Option<usize>| place.map(at).unwrap_or_default();
        let server = field::server(at(self.host), at(self.port)).ok()?;
        let login = field::credentials(text(self.user), text(self.password));
        let names = text(self.scheme).split(|c: char| !c.is_ascii_alphanumeric());
        let mut schemes: Vec<ListScheme> = names.filter_map(ListScheme::from_name).collect();
        schemes.dedup();
        if schemes.is_empty() {
            schemes.push(default);
        }
        Some(schemes.into_iter().map(|scheme| scheme.node(server.clone(), login.clone())).collect())
    }
}

/// Whether a line only says how the rows beneath it are written: `ip:port:user:pass`.
pub(super) fn is_title(line: &str) -> bool {
    let names: Vec<String> =
        line.split([':', '@', ' ', '|', ',', ';']).map(letters).filter(|name| !name.is_empty()).collect();
    let known = |name: &String| [HOST, PORT, USER, PASSWORD, SCHEME].iter().any(|names| names.contains(&name.as_str()));
    names.len() > 1 && names.iter().all(known)
}

/// The letters of a column's name in lower case: `IP Address` and `ip_address` are one.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}

/// The columns without their quotes; a separator inside quotes does not count, and two quotes there are one (RFC 4180).
fn fields(line: &str, separator: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(|field| {
        let field = field.trim();
        match field.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(inner) if inner.contains("\"\"") => inner.replace("\"\"", "\"").into(),
            Some(inner) => inner.into(),
            None => field.into(),
        }
    })
}
