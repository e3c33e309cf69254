//! Finds the names of the crate root that a module mentions, and the names that the root re-exports.

use std::collections::HashMap;

use crate::source::{Token, starts_with};

/// The first name behind each `crate::`, and behind each `super::` that leads to the root from a module at `depth`; with its line.
pub(super) fn from_root(tokens: &[Token], depth: usize) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        let inside = at >= 2 && starts_with(tokens, at - 2, &[":", ":"]);
        if starts_with(tokens, at, &["crate", ":", ":"]) {
            heads(tokens, at + 3, &mut names);
        } else if !inside && let Some(end) = supers(tokens, at, depth) {
            heads(tokens, end, &mut names);
        }
    }
    names
}

/// Where `super::` ends when it stands exactly `depth` times from `at` on.
fn supers(tokens: &[Token], at: usize, depth: usize) -> Option<usize> {
    let mut end = at;
    while starts_with(tokens, end, &["super", ":", ":"]) {
        end += 3;
    }
    (end > at && end - at == 3 * depth).then_some(end)
}

/// The first names of a path, or of each path in braces.
fn heads(tokens: &[Token], at: usize, names: &mut Vec<(String, usize)>) {
    let Some(first) = tokens.get(at) else {
        return;
    };
    if first.text != "{" {
        names.push((first.text.clone(), first.line));
        return;
    }
    let (mut depth, mut begins) = (0_usize, true);
    for token in &tokens[at..] {
        match &*token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => begins = true,
            _ if begins && depth == 1 => {
                names.push((token.text.clone(), token.line));
                begins = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// What the root re-exports: the name under which it is known there, and the module that it comes from.
pub(super) fn exported(root: &[Token]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for at in (0..root.len()).filter(|at| root[*at].text == "use") {
        let end = root[at..].iter().position(|token| token.text == ";").map_or(root.len(), |length| at + length);
        let mut path: Vec<_> = root[at + 1..end].iter().map(|token| &*token.text).filter(|text| *text != ":").collect();
        if matches!(path.first(), Some(&"crate" | &"self")) {
            path.remove(0);
        }
        let Some((module, rest)) = path.split_first() else {
            continue;
        };
        // A name stands at the end of its path: before a comma, a closing brace or the end.
        let followers = rest.iter().skip(1).copied().chain([","]);
        for (name, follower) in rest.iter().zip(followers) {
            if matches!(follower, "," | "}") && !matches!(*name, "," | "}" | "{") {
                found.insert((*name).to_owned(), (*module).to_owned());
            }
        }
    }
    found
}
