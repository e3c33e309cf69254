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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str, line: &str) -> Option<Vec<String>> {
        let nodes = Columns::parse(title).unwrap().read(line, ListScheme::Http)?;
        Some(nodes.iter().map(|node| crate::to_link(node, &hezar_core::Label::default())).collect())
    }

    #[test]
    fn a_title_says_what_the_columns_are() {
        let csv = "\"IP Address\",Country,Port,Protocol";
        assert_eq!(row(csv, "192.0.2.1,\"a, b\",1080,socks5").unwrap(), ["socks5://192.0.2.1:1080"]);
        assert_eq!(row(csv, "192.0.2.1,DE,1080,unknown").unwrap(), ["http://192.0.2.1:1080"]);
        assert_eq!(row(csv, "192.0.2.1,DE,80,\"HTTP, SOCKS4\"").unwrap().len(), 2, "a node for each protocol");
        let login = "host;port;username;password";
        assert_eq!(row(login, "192.0.2.1;80;u;\"p\"\"q\"").unwrap(), ["http://u:p%22q@192.0.2.1:80"]);
    }

    #[test]
    fn rows_of_something_else_are_none() {
        for line in ["", "192.0.2.1", "Total,2,,", "192.0.2.1,DE,port,http", ",DE,80,http"] {
            assert_eq!(row("ip,country,port,type", line), None, "{line}");
        }
        assert_eq!(Columns::parse("name,country,speed"), None);
        assert_eq!(Columns::parse("ip,country,speed"), None, "there is no port");
    }

    #[test]
    fn a_line_of_names_alone_is_a_title() {
        assert!(["ip:port:user:pass", "host|port", "IP, Port, Type", "proxy_address port"].into_iter().all(is_title));
        assert!(!["192.0.2.1:80", "ip", "port of the server", "ss://ip:port"].into_iter().any(is_title));
    }
}
