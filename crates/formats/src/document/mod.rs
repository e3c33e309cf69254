//! Client configurations: Clash YAML, sing-box, Xray and SIP008 JSON, and the line formats of other clients.

mod chain;
pub(crate) mod clash;
mod collect;
mod headers;
mod ini;
mod json;
mod plain;
mod quantumult;
mod salvage;
pub(crate) mod sing_box;
mod surge;
mod tree;
mod wg_quick;
pub(crate) mod write;
pub(crate) mod xhttp;
mod xray;
mod yaml;

use collect::Collector;
pub(crate) use xray::download as xray_download;

use crate::{Parsed, RejectCode};

/// Reads a whole document; `None` when the text is not one of these formats.
pub(crate) fn read(text: &str) -> Option<Parsed> {
    let text = text.trim_start_matches('\u{feff}');
    match first_line(text)?.chars().next()? {
        '<' => None,
        '{' => read_json(text).or_else(|| read_yaml(text)).or_else(|| salvage_json(text)),
        '[' if !starts_with_section(text) => read_json(text).or_else(|| salvage_json(text)),
        _ => {
            let clash = salvage::is_clash(text).then(|| read_yaml(text).unwrap_or_default());
            clash.or_else(|| read_rows(text))
        }
    }
}

/// The first line that is neither blank nor a comment.
fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !ini::is_comment(line))
}

fn starts_with_section(text: &str) -> bool {
    first_line(text).is_some_and(|line| ini::section(line).is_some())
}

fn read_json(text: &str) -> Option<Parsed> {
    collect(&json::read(text).ok()?)
}

fn salvage_json(text: &str) -> Option<Parsed> {
    collect(&json::salvage(text))
}

fn read_yaml(text: &str) -> Option<Parsed> {
    if let Ok(documents) = yaml::read(text)
        && let Some(parsed) = collect(&documents)
    {
        return Some(parsed);
    }
    let entries = salvage::entries(text);
    if entries.is_empty() {
        return None;
    }
    let mut collector = Collector::default();
    collector.clash_entries(&entries);
    Some(collector.parsed)
}

fn collect(documents: &[tree::Tree]) -> Option<Parsed> {
    let mut collector = Collector::default();
    let ours = documents.iter().filter(|document| collector.document(document)).count();
    (ours > 0).then_some(collector.parsed)
}

/// Texts of lines: by their sections, or without any when most lines are such rows.
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
