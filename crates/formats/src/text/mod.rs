//! Parses texts of any kind: base64 layers, documents, and lines with links or addresses.

mod blob;
mod columns;
mod info;
mod rows;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use hezar_core::{Label, NodeSpec, Outbound};
use rows::{RowResult, Rows};

use crate::{
    Hints, LinkReader, Parsed, RejectCode,
    charset::decode,
    document::{self, Document},
    link::Scheme,
    list,
    markup::{self, Dress},
};

/// The longest text read, in bytes; what follows is refused.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The longest line read, in bytes, base64 of a whole list excepted.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;
/// The most layers of base64 that are decoded.
const MAX_DEPTH: usize = 3;
/// From how many refused lines on a text that holds nothing else is refused as a whole.
const PROSE_LINES: usize = 3;

/// Reads whatever `bytes` are: a list of links, a base64 subscription, a client's configuration, a web page. Bytes that
/// are not UTF-8 are read as [`decode`] does.
///
/// Never fails as a whole: what is not understood stands in [`Parsed::rejects`].
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    parse_with(bytes, &Hints::default())
}

/// As [`parse`], with what is known besides the bytes.
#[must_use]
pub fn parse_with(bytes: &[u8], hints: &Hints) -> Parsed {
    let kept = bytes.get(..MAX_BYTES).unwrap_or(bytes);
    let text = decode(kept);
    let mut reader = Reader::new(hints, Mode::List);
    reader.text(&text, 0);
    let mut parsed = info::without(reader.parsed);
    if parsed.nodes.is_empty() {
        refuse_whole(&mut parsed, &text);
    }
    if kept.len() < bytes.len() {
        let line = text.lines().count();
        parsed.refuse(line, "", RejectCode::TooLong);
    }
    parsed
}

/// One refusal for a text in which nothing looks like an entry: a page, prose, another program's settings, a client's
/// configuration without a server.
fn refuse_whole(parsed: &mut Parsed, text: &str) {
    let prose =
        parsed.rejects.len() >= PROSE_LINES && parsed.rejects.iter().all(|one| one.code == RejectCode::NotALink);
    let says = |line: &str| line.contains(|c: char| c.is_alphanumeric());
    let lines =
        || (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !is_comment(line.trim_start()));
    let Some((number, first)) = lines().find(|(_, line)| says(line)).or_else(|| lines().next()) else { return };
    if parsed.rejects.is_empty() || prose {
        parsed.rejects.clear();
        parsed.refuse(number, first, RejectCode::UnknownDocument);
    }
}

/// Whether a line is a remark or metadata (`#profile-title: …`, `//profile-update-interval: …`).
fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("//") || line.starts_with(';')
}

/// What counts as a node in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Links, and addresses where they make a list.
    List,
    /// A text inside a document of another program: only what cannot be the address of a web page or of the program's own API.
    Foreign {
        /// Whether its key says that it is a link.
        is_link: bool,
    },
}

impl Mode {
    /// Whether a link inside another program's document is a node.
    fn takes(self, node: &NodeSpec) -> bool {
        match (self, &node.outbound) {
            (Self::List, _) => true,
            (Self::Foreign { is_link }, Outbound::Http(http)) => is_link && http.credentials.is_some(),
            (Self::Foreign { is_link }, Outbound::Socks(socks)) => {
                (is_link || socks.credentials.is_some()) && !rows::is_inside(node)
            }
            (Self::Foreign { .. }, _) => true,
        }
    }
}

struct Reader<'h> {
    hints: &'h Hints,
    mode: Mode,
    links: LinkReader,
    parsed: Parsed,
}

impl<'h> Reader<'h> {
    fn new(hints: &'h Hints, mode: Mode) -> Self {
        Self { hints, mode, links: LinkReader::default(), parsed: Parsed::default() }
    }

    fn text(&mut self, text: &str, depth: usize) {
        if depth < MAX_DEPTH
            && let Some(inner) = document::quoted(text)
        {
            return self.text(&inner, depth + 1);
        }
        match document::read(text, self.hints.default_scheme) {
            Document::Read(parsed) => return self.merge(parsed, None),
            Document::Foreign(texts) => return self.foreign(text, &texts, depth),
            Document::None => {}
        }
        if depth < MAX_DEPTH
            && let Some(inner) = blob::whole(text)
        {
            self.text(&inner, depth + 1);
            return;
        }
        self.lines(text, depth);
    }

    /// A configuration or an answer of some program: only links inside its texts can be nodes.
    fn foreign(&mut self, text: &str, texts: &[document::Text], depth: usize) {
        let mut found = Parsed::default();
        for (inner, number) in texts.iter().zip(1..) {
            let mut reader = Reader::new(self.hints, Mode::Foreign { is_link: inner.is_link });
            if depth < MAX_DEPTH {
                reader.text(&inner.text, depth + 1);
            }
            for entry in reader.parsed.nodes {
                found.push(number, entry.spec, entry.label);
            }
            let links = reader.parsed.rejects.into_iter().filter(|one| one.code != RejectCode::NotALink);
            links.for_each(|one| found.refuse(number, &one.excerpt, one.code));
        }
        if found == Parsed::default() {
            found.refuse(1, text, RejectCode::UnknownDocument);
        }
        self.merge(found, None);
    }

    fn lines(&mut self, text: &str, depth: usize) {
        let dress = Dress::of(text);
        let mut rows = Rows::new(self.hints.default_scheme, dress);
        for (line, number) in text.split('\n').zip(1..) {
            self.line(line, number, &mut rows, dress, depth);
        }
        rows.settle(&mut self.parsed);
        self.parsed.nodes.sort_by_key(|entry| entry.line);
        self.parsed.rejects.sort_by_key(|reject| reject.line);
    }

    fn line<'t>(&mut self, line: &'t str, number: usize, rows: &mut Rows<'t>, dress: Dress, depth: usize) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || markup::is_invisible(c));
        if line.is_empty() {
            return rows.blank(&mut self.parsed);
        }
        if is_comment(line) {
            return rows.remark(line);
        }
        if depth < MAX_DEPTH
            && let Some(inner) = blob::line(line)
        {
            self.nested(&inner, number, depth + 1);
            return;
        }
        if line.len() > MAX_LINE_BYTES {
            self.parsed.refuse(number, &line[..line.floor_char_boundary(256)], RejectCode::TooLong);
            return;
        }
        let tagged = dress.html && line.contains('<');
        let plain: Cow<'_, str> = if tagged { markup::strip_tags(line, is_proxy_link).into() } else { line.into() };
        for piece in plain.split(|c| tagged && c == markup::BREAK) {
            let mut found = false;
            for segment in piece.split(|c| tagged && c == markup::CELL) {
                found |= self.links_of(segment, line, number, rows, dress);
            }
            if !found {
                self.row(piece, line, number, rows, dress);
            }
        }
    }

    /// Reads a base64 line inside a list. All its entries get the number of that line.
    fn nested(&mut self, text: &str, number: usize, depth: usize) {
        let mut inner = Reader::new(self.hints, self.mode);
        inner.text(text, depth);
        self.merge(inner.parsed, Some(number));
    }

    fn merge(&mut self, found: Parsed, line: Option<usize>) {
        for entry in found.nodes {
            self.parsed.push(line.unwrap_or(entry.line), entry.spec, entry.label);
        }
        for reject in found.rejects {
            self.parsed.refuse(line.unwrap_or(reject.line), &reject.excerpt, reject.code);
        }
    }

    /// Reads the links of a segment, and returns whether there were any. `line` is the whole line.
    fn links_of<'t>(&mut self, segment: &str, line: &'t str, number: usize, rows: &mut Rows<'t>, dress: Dress) -> bool {
        if !segment.contains("://") {
            return false;
        }
        let found = scan::links(segment);
        let several = found.len() > 1;
        let prose = dress.any() || self.mode != Mode::List;
        let mut doubtful = Vec::new();
        for link in &found {
            match self.link(link) {
                Ok((spec, _)) if !self.mode.takes(&spec) => {}
                Ok((spec, label)) if self.mode == Mode::List && is_doubtful(&spec, link.scheme) => {
                    doubtful.push((spec, label));
                }
                Ok((spec, label)) => self.parsed.push(number, spec, label),
                // The address of a web page or a channel beside links is not a malformed entry.
                Err(RejectCode::WebAddress) if prose || several => {}
                Err(_) if link.scheme.is_none() && prose => {}
                Err(code) => self.parsed.refuse(number, link.text, code),
            }
        }
        if let (false, Some(first), Some(last)) = (doubtful.is_empty(), found.first(), found.last()) {
            let front = segment.get(..first.at).unwrap_or_default();
            let behind = segment.get(last.at + last.text.len()..).unwrap_or_default();
            self.doubtful(doubtful, (front, behind), line, number, rows, dress);
        }
        !found.is_empty()
    }

    /// Reads one link. White space inside base64 stands for a line end or a `+`.
    fn link(&mut self, link: &scan::LinkSpan<'_>) -> Result<(NodeSpec, Label), RejectCode> {
        let result = self.links.read(link.text).or_else(|code| self.in_column(link).ok_or(code));
        if result.is_ok() || link.whole == link.text || !link.scheme.is_some_and(Scheme::is_often_base64) {
            return result;
        }
        let joined = |sign: &str| link.whole.split_whitespace().collect::<Vec<_>>().join(sign);
        ["", "+"].iter().find_map(|sign| self.links.read(&joined(sign)).ok()).map_or(result, Ok)
    }

    /// Reads a link in front of the other columns of a table.
    fn in_column(&mut self, link: &scan::LinkSpan<'_>) -> Option<(NodeSpec, Label)> {
        if !matches!(link.scheme, Some(Scheme::Http | Scheme::Https | Scheme::Socks(_) | Scheme::SocksTls(_))) {
            return None;
        }
        let ends = link.text.match_indices([',', ';']).map(|(at, _)| (&link.text[..at], &link.text[at + 1..]));
        let columns = ends.filter(|(_, behind)| !behind.starts_with(|c: char| c.is_ascii_digit())).take(4);
        columns.into_iter().find_map(|(front, _)| self.links.read(front).ok())
    }

    /// `http://host:port` and its like without a login: a proxy in a list, and anything in a sentence.
    fn doubtful<'t>(
        &mut self,
        nodes: Vec<(NodeSpec, Label)>,
        (front, behind): (&str, &str),
        line: &'t str,
        number: usize,
        rows: &mut Rows<'t>,
        dress: Dress,
    ) {
        let is_row = list::is_row_around(front, behind);
        let socks = nodes.iter().all(|(node, _)| matches!(node.outbound, Outbound::Socks(_)));
        let labelled = socks && list::is_label(front) && !nodes.iter().any(|(node, _)| rows::is_inside(node));
        if socks && !dress.any() && is_row || labelled {
            nodes.into_iter().for_each(|(node, label)| self.parsed.push(number, node, label));
        } else if is_row {
            self.answer(rows.take(number, line, nodes), line, number, dress);
        } else {
            rows.prose();
            self.answer(RowResult::Refused(RejectCode::NotALink), line, number, dress);
        }
    }

    fn row<'t>(&mut self, piece: &str, line: &'t str, number: usize, rows: &mut Rows<'t>, dress: Dress) {
        if self.mode == Mode::List {
            self.answer(rows.read(number, piece, line), line, number, dress);
        }
    }

    /// Prose between links is no error where there is markup.
    fn answer(&mut self, found: RowResult, line: &str, number: usize, dress: Dress) {
        if let RowResult::Refused(code) = found
            && !dress.any()
        {
            self.parsed.refuse(number, line, code);
        }
    }
}

/// Whether a node's link may be the address of a web page or of a program's own API instead.
fn is_doubtful(node: &NodeSpec, scheme: Option<Scheme>) -> bool {
    match (&node.outbound, scheme) {
        (Outbound::Http(http), _) => http.credentials.is_none(),
        // Telegram's deep links mean proxies and nothing else.
        (Outbound::Socks(socks), Some(Scheme::Socks(_) | Scheme::SocksTls(_))) => socks.credentials.is_none(),
        _ => false,
    }
}

/// Whether the address of an HTML anchor is worth reading beside the anchor's text.
fn is_proxy_link(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    match Scheme::find(scheme) {
        Some(Scheme::Telegram) => rest.starts_with("socks"),
        Some(Scheme::Http | Scheme::Https) => rest.starts_with("t.me/socks"),
        Some(_) => true,
        None => false,
    }
}
