//! Finds the links in a line: several in a row, in quotes, in tables, in prose.

use memchr::memmem;

use crate::link::Scheme;

/// One link found in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkSpan<'a> {
    /// From the scheme to where the link ends.
    pub(super) text: &'a str,
    /// The same with the words behind it, which may belong to it.
    pub(super) whole: &'a str,
    /// Where in the line it begins.
    pub(super) at: usize,
    /// The scheme; `None` when it is unknown.
    pub(super) scheme: Option<Scheme>,
}

/// Schemes that are recognised even when they stick to the word before them (a list joined without line ends).
const STICKY: &[&str] =
    &["hysteria2", "wireguard", "hysteria", "anytls", "trojan", "socks5", "vless", "vmess", "tuic", "hy2", "ssr"];

struct Start {
    at: usize,
    body: usize,
    scheme: Option<Scheme>,
}

/// Every link of a line, in order.
pub(super) fn links(line: &str) -> Vec<LinkSpan<'_>> {
    let mut starts: Vec<Start> = Vec::new();
    let mut inside = Inside::default();
    for colon in memmem::find_iter(line.as_bytes(), b"://") {
        let Some(start) = start(line, colon, starts.is_empty()) else { continue };
        let Some(last) = starts.last() else {
            inside = Inside::new(&start);
            starts.push(start);
            continue;
        };
        if start.at < last.body {
            continue;
        }
        // `vmess://vmess://…`: the first one is empty.
        let doubled = start.at == last.body && start.scheme.is_some();
        inside.read_up_to(line, start.at);
        if doubled || inside.ends(line, last, &start) {
            inside = Inside::new(&start);
            if doubled {
                starts.pop();
            }
            starts.push(start);
        }
    }
    let ends = starts.iter().skip(1).map(|start| start.at).chain([line.len()]);
    starts.iter().zip(ends).map(|(start, end)| found(line, start, end)).collect()
}

/// The scheme in front of `://`.
fn start(line: &str, colon: usize, first: bool) -> Option<Start> {
    let body = colon + 3;
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let front = line.as_bytes().get(..colon)?;
    let length = front.iter().rev().take(40).take_while(|b| name(**b)).count();
    let word = line.get(colon - length..colon)?;
    let word = word.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    if word.is_empty() {
        return None;
    }
    let known = |name: &str| Scheme::find(name).map(|scheme| (name.len(), scheme));
    // `+` belongs to the name: `quic+socks5` is not SOCKS5.
    let behind_sign = || word.rsplit(['-', '.']).next().and_then(known);
    let sticky = || {
        let lower = word.to_ascii_lowercase();
        let name = STICKY.iter().find(|name| lower.ends_with(**name) && !first)?;
        known(name)
    };
    let (length, scheme) = match known(word).or_else(behind_sign).or_else(sticky) {
        Some((length, scheme)) => (length, Some(scheme)),
        None => (word.len(), None),
    };
    Some(Start { at: colon - length, body, scheme })
}

/// What a link holds so far; every byte is looked at once, however many schemes stand in it.
#[derive(Default)]
struct Inside {
    read: usize,
    query: bool,
    name: bool,
}

impl Inside {
    fn new(start: &Start) -> Self {
        Self { read: start.body, query: false, name: false }
    }

    fn read_up_to(&mut self, line: &str, end: usize) {
        let part = line.as_bytes().get(self.read..end).unwrap_or_default();
        self.query |= memchr::memchr(b'?', part).is_some();
        self.name |= memchr::memchr(b'#', part).is_some();
        self.read = end.max(self.read);
    }

    /// Whether the next scheme begins another link, or is part of this one's path, host or name.
    fn ends(&self, line: &str, last: &Start, next: &Start) -> bool {
        let before = line[last.body..next.at].chars().next_back();
        let separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '"' | '\'' | '`' | '(');
        if next.scheme.is_none_or(Scheme::is_ambiguous) {
            // A web address in a name stays part of it.
            let plain = matches!(last.scheme, None | Some(Scheme::Http | Scheme::Https | Scheme::Socks(_)));
            return before.is_none_or(separator) && (!self.name || plain);
        }
        // `path=/vless://` and `url=ss://` are values; in front of the query a `=` is base64 padding.
        self.name || !self.query || !matches!(before, Some('=' | '/' | '%'))
    }
}

fn found<'a>(line: &'a str, start: &Start, end: usize) -> LinkSpan<'a> {
    let text = &line[start.at..end];
    let text = match line[..start.at].chars().next_back() {
        Some(open) => until_closed(text, open, line),
        None => text,
    };
    // Inline code ends at its backtick.
    let text = text.split('`').next().unwrap_or_default();
    let text = match text.split_once('#') {
        Some((_, _)) => text,
        None => text.trim_end_matches([',', ';', '"', '\'', '|', '\\', '，', '。']),
    };
    LinkSpan { text: without_prose(text).trim_end(), whole: text.trim_end(), at: start.at, scheme: start.scheme }
}

/// Cuts at the character that closes the quote or bracket in front of the link.
fn until_closed<'a>(text: &'a str, open: char, line: &str) -> &'a str {
    let close = match open {
        '"' | '\'' | '*' => open,
        '[' => ']',
        '<' => '>',
        '“' => '”',
        '«' => '»',
        '(' => return text.get(..balanced(text)).unwrap_or(text),
        // A row of a Markdown table.
        '|' | ' ' if line.starts_with('|') => '|',
        _ => return text,
    };
    // A quote in front of one link of a JSON text inside another's parameter has no partner.
    text.find(close).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The end of a Markdown target: names may hold brackets in pairs.
fn balanced(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return at,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Cuts prose behind a link without a name: text behind white space that holds no further parameter.
fn without_prose(text: &str) -> &str {
    let end = text.find('#').unwrap_or(text.len());
    let (head, _) = text.split_at(end);
    let Some(space) = head.find(char::is_whitespace) else { return text };
    let tail = &text[space..];
    if tail.contains(['#', '&', '}', '@']) { text } else { &text[..space] }
}
