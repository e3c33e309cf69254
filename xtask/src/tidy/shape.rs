//! Checks the shape of source files: their first line, their length, ignored tests.

use std::path::Path;

use super::Findings;

/// Lines without tests from which a file is worth a look, and from which it has to be split.
const WARN: usize = 350;
const FAIL: usize = 500;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Checks one file.
pub(super) fn check(path: &Path, text: &str, found: &mut Findings) {
    let shown = path.display();
    if !text.starts_with("//!") {
        found.errors.push(format!("{shown}: opens without a `//!` sentence that says what it is for"));
    }
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[ignore") {
            found.errors.push(format!("{shown}:{}: an ignored test; mend it or remove it", number + 1));
        }
    }
    if is_test(path) {
        return;
    }
    let lines = production_lines(text);
    let excused = LONG.iter().any(|(file, _)| Path::new(file) == path);
    if lines > FAIL && !excused {
        found.errors.push(format!("{shown}: {lines} lines without tests, more than {FAIL}"));
    } else if lines > WARN && !excused {
        found.warnings.push(format!("{shown}: {lines} lines without tests, more than {WARN}"));
    }
}

fn is_test(path: &Path) -> bool {
    let in_tests = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches")));
    in_tests || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The lines in front of a test module in the same file.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let inline = |pair: &[&str]| {
        matches!(pair, [attribute, module] if attribute.trim() == "#[cfg(test)]"
            && module.trim_start().starts_with("mod ") && module.trim_end().ends_with('{'))
    };
    lines.windows(2).position(inline).unwrap_or(lines.len())
}
