//! The last lines of the log in memory, for the API.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use hezar_api::LogLineDto;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// How many lines are kept.
const KEPT: usize = 1000;
/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 2000;
/// The longest field, in bytes, and how many of them a line keeps.
const LONGEST_FIELD: usize = 300;
const MOST_FIELDS: usize = 16;

/// The lines of this process. A process logs through one subscriber.
static RECENT: LazyLock<RecentLines> = LazyLock::new(RecentLines::new);

/// The last lines of the log.
pub(crate) fn recent() -> &'static RecentLines {
    &RECENT
}

/// A bounded number of lines, the oldest in front.
#[derive(Debug)]
pub(crate) struct RecentLines {
    lines: Mutex<VecDeque<LogLineDto>>,
    last: watch::Sender<u64>,
}

impl RecentLines {
    fn new() -> Self {
        Self { lines: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// The number of the last line, as it changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The lines behind the one with the number `after` that are wanted, and the number of the last line.
    pub(crate) fn lines(&self, after: u64, wanted: impl Fn(&LogLineDto) -> bool) -> (Vec<LogLineDto>, u64) {
        let lines = self.lines.lock();
        let found = lines.iter().filter(|line| line.number > after && wanted(line)).cloned().collect();
        (found, lines.back().map_or(0, |line| line.number))
    }

    fn add(&self, mut line: LogLineDto) {
        let mut lines = self.lines.lock();
        line.number = lines.back().map_or(0, |line| line.number) + 1;
        let number = line.number;
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
        self.last.send_replace(number);
    }
}

/// Keeps every event that its filter lets through.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecentLayer;

impl<S: Subscriber> Layer<S> for RecentLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        recent().add(LogLineDto {
            number: 0,
            at: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            level: level_name(*metadata.level()).to_owned(),
            target: metadata.target().to_owned(),
            message: text.message,
            fields: text.fields,
        });
    }
}

/// The name of a level as the API and the settings write it.
pub(crate) const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: Vec<String>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, format_args!("{value}"));
    }
}

impl Text {
    fn note(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" {
            self.message = bounded(value, LONGEST_MESSAGE);
        } else if self.fields.len() < MOST_FIELDS {
            self.fields.push(bounded(format_args!("{}={value}", field.name()), LONGEST_FIELD));
        }
    }
}

/// Writes a text up to a length, and stops there.
fn bounded(value: fmt::Arguments<'_>, most: usize) -> String {
    let mut cut = Cut { text: String::new(), most };
    // The error is how the writer stops.
    if cut.write_fmt(value).is_err() {
        cut.text.push('…');
    }
    cut.text
}

struct Cut {
    text: String,
    most: usize,
}

impl Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.most - self.text.len();
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(part.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn lines_are_kept_with_their_fields_and_bounded() {
        let (_, before) = recent().lines(0, |_| true);
        let subscriber = tracing_subscriber::registry().with(RecentLayer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "here", node = "n1", count = 3, "a {} line", "good");
            tracing::info!(target: "here", long = "ü".repeat(1000), "{}", "x".repeat(10_000));
        });
        let (lines, last) = recent().lines(before, |line| line.target == "here");
        assert_eq!((lines.len(), lines[1].number <= last), (2, true));
        assert_eq!((&*lines[0].level, &*lines[0].message), ("warn", "a good line"));
        assert_eq!(lines[0].fields, ["node=n1", "count=3"]);
        assert_eq!(lines[1].message.len(), LONGEST_MESSAGE + "…".len());
        assert!(lines[1].fields[0].len() <= LONGEST_FIELD + "…".len() && lines[1].fields[0].ends_with('…'));
        let full = RecentLines::new();
        (0..2 * KEPT).for_each(|_| full.add(lines[0].clone()));
        assert_eq!(full.lines(0, |_| true).0.len(), KEPT);
        assert_eq!((full.lines(2 * KEPT as u64 - 1, |_| true).0.len(), *full.changes().borrow()), (1, 2 * KEPT as u64));
    }
}
