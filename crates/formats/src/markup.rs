//! Strips HTML and Markdown around links: tags, character references, invisible characters.

use std::borrow::Cow;

use memchr::memmem;

/// What stands in the place of a block tag. No link continues across it.
pub(crate) const BREAK: char = '\u{0}';

/// What stands in the place of the tag of a table's cell. A row continues across it, a link does not.
pub(crate) const CELL: char = '\u{1}';

/// Tags inside running text: links go on across them.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "del", "em", "font", "i", "img", "ins", "mark", "s", "small", "span", "strong", "strike",
    "sub", "sup", "tg-emoji", "u", "wbr",
];

/// Other tags that are taken for markup; what is none of these stays as text (`<EU>` in a name).
const BLOCK: &[&str] = &[
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "button",
    "code",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "input",
    "li",
    "link",
    "main",
    "meta",
    "nav",
    "noscript",
    "ol",
    "option",
    "p",
    "pre",
    "script",
    "section",
    "select",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "tg-spoiler",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
    "video",
];

/// The cells of a table; they are among [`BLOCK`] too.
const CELLS: &[&str] = &["td", "th"];

/// Whether a sign has no width and no meaning inside a link.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{ad}')
}

/// The markup of a text. Where there is any, prose between links is not an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    pub(crate) html: bool,
    pub(crate) markdown: bool,
}

impl Dress {
    /// Looks for the signs that no plain list has.
    pub(crate) fn of(text: &str) -> Self {
        let has = |needle: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
        let heading = |line: &str| {
            line.starts_with("## ") || line.starts_with("```") || (line.starts_with('|') && line.contains("---"))
        };
        Self {
            html: ["</", "<br", "<BR", "<p>", "<td"].iter().any(|tag| has(tag)),
            markdown: has("](") || has("```") || text.lines().take(10_000).any(heading),
        }
    }

    /// Whether there is any markup.
    pub(crate) const fn any(self) -> bool {
        self.html || self.markdown
    }
}

/// Takes the tags out of a line: inline ones vanish, block ones become [`BREAK`]. The address of an `href` is kept,
/// behind a break, when `keep` says so.
pub(crate) fn strip_tags(line: &str, keep: impl Fn(&str) -> bool) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut kept = String::new();
    let mut rest = line;
    while let Some(open) = rest.find('<') {
        plain.push_str(&rest[..open]);
        let Some((name, tag, behind)) = tag(&rest[open..]) else {
            plain.push('<');
            rest = &rest[open + 1..];
            continue;
        };
        if CELLS.contains(&name.as_str()) {
            plain.push(CELL);
        } else if BLOCK.contains(&name.as_str()) {
            plain.push(BREAK);
        }
        // The anchor's own text usually repeats the address.
        if let Some(address) = href(tag).filter(|address| !behind.starts_with(address) && keep(address)) {
            kept.push(BREAK);
            kept.push_str(address);
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain.push_str(&kept);
    plain
}

/// A known tag at the start of `text`: its name in lower case, its inside, and what follows.
fn tag(text: &str) -> Option<(String, &str, &str)> {
    let inside = text.strip_prefix('<')?;
    let name = inside.strip_prefix('/').unwrap_or(inside);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
    let name = name.get(..end.min(16))?.to_ascii_lowercase();
    if !INLINE.contains(&name.as_str()) && !BLOCK.contains(&name.as_str()) {
        return None;
    }
    // An attribute's value may hold the closing sign.
    let mut quote = None;
    for (at, b) in inside.bytes().enumerate() {
        match (quote, b) {
            (None, b'>') => return Some((name, &inside[..at], &inside[at + 1..])),
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(open), b) if open == b => quote = None,
            _ => {}
        }
    }
    // A tag cut off by the end of the line.
    Some((name, inside, ""))
}

fn href(tag: &str) -> Option<&str> {
    let (_, value) = tag.split_once("href=")?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// Replaces the character references that publishers leave in links.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') || !text.contains(';') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::new();
    let mut rest = text;
    let mut done = 0;
    while let Some(at) = rest.find('&') {
        let Some((c, length)) = reference(&rest[at..]) else {
            plain.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        plain.push_str(&rest[..at]);
        plain.push(c);
        rest = &rest[at + length..];
        done += 1;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn reference(text: &str) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 6] =
        [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&nbsp;", ' ')];
    if let Some((name, c)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((*c, name.len()));
    }
    let digits = text.strip_prefix("&#")?;
    let end = digits.bytes().take(9).position(|b| b == b';')?;
    let number = digits.get(..end)?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    let c = char::from_u32(code).filter(|c| !c.is_control())?;
    Some((c, end + 3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(line: &str) -> String {
        strip_tags(line, |_| false).replace(BREAK, "¶").replace(CELL, "|")
    }

    #[test]
    fn links_go_on_across_inline_tags_only() {
        assert_eq!(strip("ss://a<b>b</b>c<wbr>d"), "ss://abcd");
        assert_eq!(strip("ss://a<br/>ss://b<p>c</p>"), "ss://a¶ss://b¶c¶");
        assert_eq!(strip("<tr><td>192.0.2.1</td><TD>80</TD></tr>"), "¶|192.0.2.1||80|¶");
        assert_eq!(strip("a name <EU> and 1 < 2"), "a name <EU> and 1 < 2");
        assert_eq!(strip("x<a title=\"1>0\">y</a>"), "xy", "an attribute may hold the closing sign");
        assert_eq!(strip("x<div class=\"cut"), "x¶");
    }

    #[test]
    fn addresses_of_anchors_are_kept_unless_their_text_repeats_them() {
        let keep = |line: &str| strip_tags(line, |address| address.starts_with("ss://")).replace(BREAK, "¶");
        assert_eq!(keep("<a href=\"ss://x\">copy</a>"), "copy¶ss://x");
        assert_eq!(keep("<a href='ss://x'>ss://x</a>"), "ss://x");
        assert_eq!(keep("<a href=\"https://example.org/\">page</a>"), "page");
    }

    #[test]
    fn character_references_become_characters() {
        assert_eq!(unescape("a=1&amp;b=2&#38;c&#x26;&lt;&quot;&apos;&gt;"), "a=1&b=2&c&<\"'>");
        for kept in ["a=1&b=2;", "&unknown;", "&#0;", "&#1114112;", "&#x110000;", "&#12", "&;"] {
            assert_eq!(unescape(kept), kept);
        }
    }

    #[test]
    fn markup_is_told_from_lists() {
        assert!(Dress::of("<p>x</p>").html && Dress::of("a<br>b").html);
        assert!(Dress::of("## Proxies\nx").markdown && Dress::of("[a](ss://b)").markdown);
        assert!(Dress::of("| ip | port |\n|---|---|").markdown);
        assert!(!Dress::of("ss://a#<EU> 5 < 6\n# remark\n|a|b|").any());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_sign_is_invented(line in "[<>a-z/\"'=&;#x0-9 ]{0,80}") {
            let stripped = strip_tags(&line, |_| true);
            prop_assert!(stripped.chars().filter(|c| !matches!(*c, BREAK | CELL)).all(|c| line.contains(c)));
            prop_assert!(unescape(&line).len() <= line.len());
        }
    }
}
