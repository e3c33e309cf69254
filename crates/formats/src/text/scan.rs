//! Finds the links in a line: several in a row, in quotes, in tables, in prose.

use memchr::memmem;

use crate::link::Scheme;

/// One link found in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkSpan<'a> {
    /// The text from the scheme to the end of the link.
    pub(super) text: &'a str,
    /// The same with the words behind the link, which may belong to it.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(line: &str) -> Vec<&str> {
        links(line).into_iter().map(|link| link.text).collect()
    }

    #[test]
    fn links_end_where_the_next_one_begins() {
        assert_eq!(
            texts("ss://a@192.0.2.1:1 trojan://b@192.0.2.2:2"),
            ["ss://a@192.0.2.1:1", "trojan://b@192.0.2.2:2"]
        );
        assert_eq!(texts("ss://a#onetrojan://b#two"), ["ss://a#one", "trojan://b#two"], "a list without line ends");
        assert_eq!(texts("vmess://vmess://abc"), ["vmess://abc"]);
        assert_eq!(
            texts("http://192.0.2.1:80,https://192.0.2.2:443"),
            ["http://192.0.2.1:80", "https://192.0.2.2:443"]
        );
    }

    #[test]
    fn a_scheme_inside_a_link_belongs_to_it() {
        for line in [
            "vless://id@192.0.2.1:443?path=/vless://x",
            "trojan://p@192.0.2.1:443?host=a&url=ss://x",
            "ss://a@192.0.2.1:1#see https://example.org",
        ] {
            assert_eq!(texts(line), [line]);
        }
    }

    #[test]
    fn quotes_and_brackets_end_a_link() {
        for (line, link) in [
            ("\"ss://a@b:1\", next", "ss://a@b:1"),
            ("[name](ss://a@b:1#x(y)z) more", "ss://a@b:1#x(y)z"),
            ("<ss://a@b:1>", "ss://a@b:1"),
            ("`ss://a@b:1` is a link", "ss://a@b:1"),
            ("| ss://a@b:1#n | DE |", "ss://a@b:1#n"),
            ("ss://a@b:1 works well", "ss://a@b:1"),
        ] {
            assert_eq!(texts(line), [link], "{line}");
        }
    }

    #[test]
    fn schemes_are_known_or_not_and_have_a_place() {
        let found = links("New: quic+socks5://a:1 and ss://b:2");
        assert_eq!((found[0].text.starts_with("quic+socks5://"), found[0].scheme.is_none()), (true, true));
        assert_eq!((found[1].at, found[1].scheme.is_some()), (27, true));
        assert_eq!(found[0].at, 5);
        assert_eq!(texts("no links, and :// alone"), [""; 0]);
    }

    proptest! {
        #[test]
        fn links_are_pieces_of_their_line_in_its_order(line in "[a-z:/?#@ \"'()\\[\\],.0-9=&|`-]{0,120}") {
            let mut end = 0;
            for link in links(&line) {
                prop_assert!(link.at >= end && line[link.at..].starts_with(link.text) && link.whole.starts_with(link.text));
                end = link.at + link.text.len();
            }
        }
    }
}
