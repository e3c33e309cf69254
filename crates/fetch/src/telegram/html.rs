//! Extracts the messages of a channel's page: their numbers and their text.
//!
//! ```text
//! <div class="tgme_widget_message …" data-post="channel/1234">
//!   … <div class="tgme_widget_message_text …">first line<br/><code>ss://…</code> <a href="vless://…">here</a></div>
//! ```

/// What a page holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelPage {
    /// The smallest message number.
    pub(crate) oldest: Option<u64>,
    /// The messages' text, one line per line.
    pub(crate) text: String,
}

/// Reads a page. What is not understood is skipped; every byte is looked at a bounded number of times.
pub(crate) fn read_page(html: &str) -> ChannelPage {
    let mut page = ChannelPage::default();
    // How many <div> are open inside a message's text; 0 means outside.
    let mut depth = 0_usize;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        if depth > 0 {
            unescape(&rest[..at], &mut page.text);
        }
        rest = &rest[at + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let tag = Tag::new(&rest[..end]);
        rest = &rest[end + 1..];
        // Quotes and angle brackets in there are a program's.
        if !tag.closing && (tag.name("script") || tag.name("style")) {
            rest = rest.find("</").map_or("", |at| &rest[at..]);
            continue;
        }
        if let Some(id) = tag.attribute("data-post").and_then(|post| post.rsplit('/').next()?.parse().ok()) {
            page.oldest = Some(page.oldest.map_or(id, |oldest| oldest.min(id)));
        }
        if depth > 0 {
            append_inner_tag(&tag, &mut depth, &mut page.text);
        } else if tag.name("div") && !tag.closing && tag.has_class("tgme_widget_message_text") {
            depth = 1;
        }
    }
    page
}

/// A tag inside a message: most of them only end a line or mean nothing.
fn append_inner_tag(tag: &Tag<'_>, depth: &mut usize, text: &mut String) {
    if tag.name("div") {
        *depth = if tag.closing { *depth - 1 } else { depth.saturating_add(1) };
    }
    let breaks = ["br", "div", "p", "pre", "code", "blockquote", "li", "ul", "ol", "tr", "td"];
    if breaks.iter().any(|name| tag.name(name)) {
        text.push('\n');
    }
    // A link behind a word. Web pages are no nodes, and t.me links are Telegram's own.
    let link = tag.attribute("href").filter(|_| tag.name("a") && !tag.closing);
    if let Some((scheme, _)) = link.and_then(|link| link.split_once("://"))
        && !["http", "https", "tg"].iter().any(|other| scheme.eq_ignore_ascii_case(other))
    {
        text.push('\n');
        unescape(link.unwrap_or_default(), text);
        text.push('\n');
    }
}

/// Where the tag that starts here ends: the first `>` outside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().position(|byte| match quote {
        Some(open) => {
            if byte == open {
                quote = None;
            }
            false
        }
        None if byte == b'"' || byte == b'\'' => {
            quote = Some(byte);
            false
        }
        None => byte == b'>',
    })
}

/// The inside of `<…>`.
struct Tag<'a> {
    closing: bool,
    name: &'a str,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    fn new(text: &'a str) -> Self {
        let (closing, text) = match text.strip_prefix('/') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        Self { closing, name: &text[..end], attributes: &text[end..] }
    }

    fn name(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// An attribute's value as it is written, without its quotes.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        while let Some((before, after)) = rest.split_once('=') {
            let found = before.rsplit(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            let after = after.trim_start();
            let (value, tail) = match after.as_bytes().first() {
                Some(quote @ (b'"' | b'\'')) => after[1..].split_once(char::from(*quote))?,
                _ => after.split_at(after.find(|c: char| c.is_ascii_whitespace()).unwrap_or(after.len())),
            };
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            rest = tail;
        }
        None
    }

    fn has_class(&self, class: &str) -> bool {
        self.attribute("class").is_some_and(|classes| classes.split_ascii_whitespace().any(|c| c == class))
    }
}

/// Appends a text with its character references resolved (HTML §13.5, the few that Telegram writes, and all numbers).
fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(10).position(|byte| byte == b';');
        match end.and_then(|end| Some((character_reference(&after[..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &after[end + 1..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

fn character_reference(name: &str) -> Option<char> {
    let number = |number: u32| char::from_u32(number).filter(|c| *c != '\0');
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(u32::from_str_radix(&hex[1..], 16).ok()?),
            decimal => number(decimal.parse().ok()?),
        },
    }
}
