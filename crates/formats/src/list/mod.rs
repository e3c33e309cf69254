//! Reads one line of a plain list: an address with columns about it, or something else.

#[cfg(test)]
mod tests;
mod vocabulary;

use hezar_core::{Credentials, Host, NodeSpec, Target};

use vocabulary::{is_property, is_sentence};

use crate::{
    ListScheme, RejectCode,
    address::{self, Endpoint, Names},
    field, uri,
};

/// The most words of one line that are examined.
const MAX_WORDS: usize = 4096;
/// The most columns in front of the address.
const MAX_LEADING: usize = 4;

/// The kind of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// One or more addresses with columns about them.
    Nodes(Vec<NodeSpec>),
    /// A malformed address.
    Spoilt(RejectCode),
    /// Nothing but punctuation.
    Blank,
    /// A protocol's name above the rows that speak it.
    Heading(ListScheme),
    /// Anything else, even with an address in it: a sentence, a setting, a line of a log.
    Prose,
}

/// The nodes of one row of a list, such as a text inside JSON; nothing for any other text.
pub(crate) fn addresses(text: &str, default: ListScheme) -> Vec<NodeSpec> {
    if let Row::Nodes(nodes) = read(text, default) { nodes } else { Vec::new() }
}

/// Reads a line; the column that names a protocol wins over `default`.
pub(crate) fn read(line: &str, default: ListScheme) -> Row {
    // Most lines of most lists are nothing else.
    if let Ok(server) = Target::parse(line)
        && matches!(server.host(), Host::Ip(_))
    {
        return Row::Nodes(vec![default.node(server, None)]);
    }
    if !line.contains(|c: char| c.is_alphanumeric()) {
        return Row::Blank;
    }
    let fields = columns(line);
    let leading = if fields.len() > 2 { leading_columns(&fields) } else { 0 };
    if let [word] = words(line).filter(|word| word.contains(char::is_alphanumeric)).take(2).collect::<Vec<_>>()[..]
        && let Some(scheme) = ListScheme::from_name(word.trim_matches(|c: char| !c.is_alphanumeric()))
    {
        return Row::Heading(scheme);
    }
    let named = fields.iter().take(leading).flat_map(|field| words(field)).find_map(ListScheme::from_name);
    let scheme = named.unwrap_or(default);
    let mut row = RowReader { scheme, endpoints: Vec::new(), rest: Vec::new(), first: leading == 0 };
    let mut words = fields.iter().skip(leading).flat_map(|field| words(field)).take(MAX_WORDS).peekable();
    while let Some(word) = words.next() {
        match row.word(word, words.peek().copied()) {
            WordResult::Next => {}
            WordResult::Both => drop(words.next()),
            WordResult::Stop(row) => return row,
        }
    }
    row.end(&fields)
}

/// The columns of a line. A sign inside quotes separates nothing where the quotes are those of a table with logins.
fn columns(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let outside = |c: char| {
        quoted ^= c == '"';
        is_hard(c) && !quoted
    };
    let fields: Vec<&str> = if line.starts_with('"') { line.split(outside).collect() } else { Vec::new() };
    if fields.len() > 3 { fields } else { line.split(is_hard).collect() }
}

/// Signs between columns; white space may also stand inside one.
fn is_hard(c: char) -> bool {
    c.is_control() || matches!(c, ',' | ';' | '|')
}

/// The words of a column without their quotes and the brackets of a list around them.
fn words(field: &str) -> impl Iterator<Item = &str> {
    let quote = |c: char| matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | '`');
    field.split(move |c: char| c.is_whitespace() || quote(c)).map(without_bracket).filter(|word| !word.is_empty())
}

/// Takes off a bracket that has no partner inside the word, as the one around an IPv6 address has.
fn without_bracket(word: &str) -> &str {
    match (word.strip_prefix('['), word.strip_suffix(']')) {
        (Some(inner), _) if !word.contains(']') => inner,
        (_, Some(inner)) if !word.contains('[') => inner,
        _ => word,
    }
}

/// How many columns stand in front of one that is an address and nothing else.
fn leading_columns(fields: &[&str]) -> usize {
    let key = |word: &str| word.ends_with(':') || word.contains('=');
    let label = |field: &str| !words(field).any(key) && words(field).count() <= 3;
    let alone = |field: &str| {
        let mut words = words(field);
        let word = words.next().unwrap_or_default();
        words.next().is_none() && (uri::is_address(word) || named(word, Names::No).is_some())
    };
    let found = fields.iter().take(MAX_LEADING + 1).position(|field| alone(field)).unwrap_or(0);
    if fields.iter().take(found).all(|field| label(field)) { found } else { 0 }
}

struct RowReader<'a> {
    scheme: ListScheme,
    endpoints: Vec<Endpoint>,
    /// What follows the addresses.
    rest: Vec<&'a str>,
    /// Whether no word has come yet. Only the first word can be a host name.
    first: bool,
}

enum WordResult {
    Next,
    /// The next word belongs to this one.
    Both,
    Stop(Row),
}

impl<'a> RowReader<'a> {
    fn word(&mut self, word: &'a str, next: Option<&str>) -> WordResult {
        if let Some(scheme) = ListScheme::from_name(word.trim_end_matches(':')) {
            self.scheme = scheme;
            return WordResult::Next;
        }
        // A column of its own for the port.
        if let Ok(Host::Ip(_)) = Host::new(word) {
            if let Ok(server) = field::server(word, next.unwrap_or_default()) {
                self.endpoints.push((server, None));
                return WordResult::Both;
            }
            if self.endpoints.is_empty() {
                return WordResult::Stop(if next.is_none() { Row::Spoilt(RejectCode::BadPort) } else { Row::Prose });
            }
        }
        let names = if self.first { Names::Dotted } else { Names::No };
        if let Some((scheme, endpoint)) = named(word, names) {
            self.scheme = scheme.unwrap_or(self.scheme);
            self.endpoints.push(endpoint);
            return WordResult::Next;
        }
        if !self.endpoints.is_empty() {
            self.rest.push(word);
            return WordResult::Next;
        }
        if let Some(code) = spoilt(word) {
            return WordResult::Stop(Row::Spoilt(code));
        }
        if !may_lead(word) {
            return WordResult::Stop(Row::Prose);
        }
        self.first &= !word.contains(|c: char| c.is_ascii_alphabetic());
        WordResult::Next
    }

    fn end(mut self, fields: &[&str]) -> Row {
        if self.endpoints.is_empty() || self.rest.iter().any(|word| is_sentence(word)) {
            return Row::Prose;
        }
        if let [(_, login @ None)] = self.endpoints.as_mut_slice() {
            *login = login_columns(&self.rest, fields);
        }
        Row::Nodes(self.endpoints.into_iter().map(|(server, login)| self.scheme.node(server, login)).collect())
    }
}

/// An address with its login, and the protocol that stands at it: `ip:port@socks5`, `socks5:ip:port`, `ip:port:http`.
fn named(word: &str, names: Names) -> Option<(Option<ListScheme>, Endpoint)> {
    if !word.contains(':') {
        return None;
    }
    let behind = word.rsplit_once(['@', ':', '#']).map(|(rest, name)| (name, rest));
    let front = word.split_once(['@', ':']);
    for (name, rest) in behind.into_iter().chain(front) {
        if let Some(scheme) = ListScheme::from_name(name)
            && let Some(endpoint) = address::read(rest, names)
        {
            return Some((Some(scheme), endpoint));
        }
    }
    address::read(word, names).map(|endpoint| (None, endpoint))
}

/// Why a word is refused that looks like an address and is not one; `None` for a word of prose.
fn spoilt(word: &str) -> Option<RejectCode> {
    let (host, port) = word.rsplit_once(':')?;
    let dotted =
        host.bytes().filter(|b| *b == b'.').count() == 3 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let empty = port.is_empty() && host.is_empty();
    dotted.then(|| if Host::new(host).is_err() || empty { RejectCode::BadHost } else { RejectCode::BadPort })
}

/// Whether a word may stand in front of a row's address: signs and flags, a number, a country's code.
fn may_lead(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let number = bare.len() <= 6 && bare.bytes().all(|b| b.is_ascii_digit());
    // Tables of a machine's connections begin with these.
    let transport = matches!(bare, "TCP" | "UDP");
    let country = (2..=3).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_uppercase());
    number || (country && !transport)
}

/// Whether text in front of and behind a link leaves it a row of a list.
pub(crate) fn is_row_around(front: &str, behind: &str) -> bool {
    let name = |word: &str| ListScheme::from_name(word.trim_end_matches(':')).is_some();
    words(front).all(|word| may_lead(word.trim_matches(is_hard)) || name(word)) && !words(behind).any(is_sentence)
}

/// Whether text in front of a link only says what it is: `Proxy:`, `New SOCKS:`.
pub(crate) fn is_label(front: &str) -> bool {
    let mut words: Vec<&str> = words(front).filter(|word| word.contains(char::is_alphanumeric)).collect();
    let last = words.pop().unwrap_or(":");
    words.len() < 3 && last.ends_with(':') && !words.iter().any(|word| is_sentence(word) || word.ends_with(':'))
}

/// A user and a password in the two columns behind the address, where neither says something about a proxy instead.
/// Further columns must do so, and stand apart from each other by more than spaces.
fn login_columns(rest: &[&str], fields: &[&str]) -> Option<Credentials> {
    // A column that is a phrase is no part of a login.
    let phrases = fields.len() > 2 && fields.iter().skip(1).any(|field| words(field).count() > 1);
    let (&[user, password], others) = rest.split_first_chunk::<2>()?;
    if !others.iter().all(|text| fields.len() > 3 && is_property(text)) {
        return None;
    }
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let login = !phrases
        && !number(user)
        && (!number(password) || password.len() > 3)
        && !is_property(user)
        && !is_property(password);
    if login { field::credentials(user, password) } else { None }
}
