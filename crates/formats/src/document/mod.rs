//! Client configurations: Clash YAML, sing-box, Xray and SIP008 JSON, and the line formats of other clients.

mod accepted;
mod chain;
pub(crate) mod clash;
mod client;
mod collect;
mod foreign;
mod ini;
mod plain;
mod quantumult;
mod salvage;
mod shape;
pub(crate) mod sing_box;
mod surge;
mod wg_quick;
pub(crate) mod write;
pub(crate) mod writers;
pub(crate) mod xhttp;
mod xray;
mod yaml;

use collect::Collector;
pub(crate) use foreign::Text;

use crate::{
    ListScheme, Parsed, RejectCode,
    tree::{self, json},
};

/// The kind of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// One of these formats.
    Read(Parsed),
    /// A document of some other program, with the texts in it that may be links.
    Foreign(Vec<Text>),
    /// It is not a document.
    None,
}

/// The first words of a playlist (M3U). Its addresses are those of media, not of proxies.
const PLAYLIST: &str = "#EXTM3U";

/// The text that a whole document of JSON quotes, as some interfaces answer with their lists.
pub(crate) fn quoted(text: &str) -> Option<Box<str>> {
    if !text.trim_start().starts_with('"') {
        return None;
    }
    match json::read(text).ok()?.as_slice() {
        [tree::Tree::Quoted(inner)] => Some(inner.clone()),
        _ => None,
    }
}

/// Reads a whole document; bare addresses in it speak `default`.
pub(crate) fn read(text: &str, default: ListScheme) -> Document {
    let text = text.trim_start_matches('\u{feff}');
    let Some(first) = first_line(text).and_then(|line| line.chars().next()) else { return Document::None };
    if text.trim_start().starts_with(PLAYLIST) {
        return Document::Foreign(Vec::new());
    }
    match first {
        '<' => Document::None,
        '{' | '[' if first == '{' || !starts_with_section(text) => Reader { text, default }.json(first == '{'),
        _ => Reader { text, default }.lines(),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    default: ListScheme,
}

impl Reader<'_> {
    fn json(self, may_be_yaml: bool) -> Document {
        if let Ok(trees) = json::read(self.text) {
            return self.collect(&trees).unwrap_or_else(|| foreign::document(&trees));
        }
        let yaml = if may_be_yaml { self.yaml() } else { None };
        yaml.or_else(|| self.collect(&json::salvage(self.text))).unwrap_or(Document::None)
    }

    fn lines(self) -> Document {
        if salvage::is_clash(self.text) {
            return self.yaml().unwrap_or(Document::Read(Parsed::default()));
        }
        if let Some(parsed) = read_rows(self.text) {
            return Document::Read(parsed);
        }
        if !first_line(self.text).is_some_and(foreign::is_key) {
            return Document::None;
        }
        let Ok(trees) = yaml::read(self.text) else { return Document::None };
        self.collect(&trees).unwrap_or_else(|| foreign::document(&trees))
    }

    fn yaml(self) -> Option<Document> {
        if let Ok(documents) = yaml::read(self.text)
            && let Some(parsed) = self.collect(&documents)
        {
            return Some(parsed);
        }
        let entries = salvage::entries(self.text);
        if entries.is_empty() {
            return None;
        }
        let mut collector = Collector::new(self.text, self.default);
        collector.clash_entries(&entries);
        Some(Document::Read(collector.parsed))
    }

    fn collect(self, documents: &[tree::Tree]) -> Option<Document> {
        let mut collector = Collector::new(self.text, self.default);
        collector.documents(documents).then_some(Document::Read(collector.parsed))
    }
}

/// The first line that is neither blank nor a comment.
fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !ini::is_comment(line))
}

fn starts_with_section(text: &str) -> bool {
    first_line(text).is_some_and(|line| ini::section(line).is_some())
}

/// Reads a text of lines: by its sections, or without any when most lines are rows of such a format.
fn read_rows(text: &str) -> Option<Parsed> {
    if wg_quick::is_wg_quick(text) {
        return Some(wg_quick::read(text));
    }
    let mut parsed = Parsed::default();
    let sections = text.lines().filter_map(ini::section);
    if sections.into_iter().any(|name| matches!(name.as_str(), "proxy" | "server_local" | "server")) {
        for line in ini::lines(text) {
            match line.section.as_str() {
                "proxy" | "server" => surge::line(&mut parsed, line.number, line.text),
                "server_local" => quantumult::line(&mut parsed, line.number, line.text),
                "server_remote" | "remote proxy" => parsed.refuse(line.number, line.text, RejectCode::WebAddress),
                "proxy chain" => parsed.refuse(line.number, line.text, RejectCode::BadChain),
                "proxy group" if line.text.contains("policy-path") => {
                    parsed.refuse(line.number, line.text, RejectCode::WebAddress);
                }
                _ => {}
            }
        }
        return Some(parsed);
    }
    read_bare_rows(text)
}

/// Rows without a section; most of the first lines must be such rows.
fn read_bare_rows(text: &str) -> Option<Parsed> {
    let is_row = |line: &ini::Line<'_>| quantumult::is_row(line.text) || surge::is_row(line.text);
    let (rows, others): (Vec<_>, Vec<_>) = ini::lines(text).take(32).partition(is_row);
    if rows.len() <= others.len() {
        return None;
    }
    let mut parsed = Parsed::default();
    for line in ini::lines(text) {
        if quantumult::is_row(line.text) {
            quantumult::line(&mut parsed, line.number, line.text);
        } else if surge::is_row(line.text) {
            surge::line(&mut parsed, line.number, line.text);
        } else {
            parsed.refuse(line.number, line.text, RejectCode::NotALink);
        }
    }
    Some(parsed)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
