//! What a person reads on the terminal: tables, progress bars, and errors that say what to do.

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A command that cannot be meant, with what to say instead. The exit code is 2, as for a wrong command line.
#[derive(Debug)]
pub(crate) struct Misuse(pub(crate) String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Misuse {}

/// Prints an error with its chain of causes to standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("hezar: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a remark to standard error, where it does not disturb what is piped on.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

/// Prints a line to standard output. A reader that went away (`| head`) is not a failure.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{}", text.as_ref()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}

/// Prints one JSON value on one line.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?)?;
    Ok(())
}

/// The columns of the terminal; `None` when the output goes to a file or a program, which no line is too long for.
pub(crate) fn terminal_columns() -> Option<u16> {
    let columns = Table::new().width();
    // A terminal that says nothing sensible counts as the usual one.
    columns.map(|columns| if columns < 40 { 80 } else { columns })
}

/// A table in which every row is one line: the `fixed` first columns keep their width, and the others share what the
/// terminal has left. What does not fit ends in "…".
pub(crate) fn list<const N: usize>(header: [&str; N], fixed: usize) -> Table {
    list_in(header, fixed, terminal_columns())
}

/// [`list`] for a terminal of so many columns.
pub(crate) fn list_in<const N: usize>(header: [&str; N], fixed: usize, columns: Option<u16>) -> Table {
    let mut table = table(header);
    let mut heading = Row::from(header);
    heading.max_height(1);
    table.set_header(heading).set_truncation_indicator("…");
    if let Some(columns) = columns {
        table.set_width(columns);
    }
    for index in 0..N {
        let Some(column) = table.column_mut(index) else { continue };
        column.set_padding((0, 1));
        if index < fixed {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Adds a row that is one line, however long its cells are.
pub(crate) fn add_line<const N: usize>(table: &mut Table, cells: [String; N]) {
    let mut row = Row::from(cells);
    row.max_height(1);
    table.add_row(row);
}

/// A number and the word for what it counts: "1 node", "2 nodes".
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A number of bytes in the largest binary unit that keeps it above one.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = number as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// A table that fits the terminal.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// A progress bar on standard error; silent when that is not a terminal or the output is for programs.
pub(crate) fn progress(length: u64, what: &'static str, quiet: bool) -> ProgressBar {
    let shown = !quiet && io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The time of this machine's clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago a moment was, in one unit.
pub(crate) fn ago(now_ms: u64, then_ms: Option<u64>) -> String {
    let Some(then) = then_ms else { return "never".to_owned() };
    span(now_ms.saturating_sub(then) / 1000)
}

/// A length of time in one unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
