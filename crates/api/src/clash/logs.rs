//! `/logs`: the log as it is written.

use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use chrono::DateTime;
use futures_util::{StreamExt, stream};
use serde_json::json;
use url::form_urlencoded;

use super::{
    ClashState,
    reply::{ClashError, json_line},
    streams::{self, StreamReader},
};
use crate::{LogLineDto, LogQuery};

/// The most lines that are sent at once; a reader that falls further behind misses some.
const MOST_AT_ONCE: usize = 1000;

/// Lines that a reader is sent from before it came.
const BEFORE: u64 = 100;

/// How a line is written.
#[derive(Clone, Copy)]
enum LogForm {
    Plain,
    Structured,
}

pub(super) fn routes() -> Router<ClashState> {
    Router::new().route("/logs", get(logs))
}

async fn logs(
    State(state): State<ClashState>,
    RawQuery(query): RawQuery,
    reader: StreamReader,
) -> Result<Response, ClashError> {
    let (mut level, mut form) = (Some("info"), LogForm::Plain);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (&*name, &*value) {
            ("level", "debug") => level = Some("debug"),
            ("level", "info") => level = Some("info"),
            ("level", "warning") => level = Some("warn"),
            ("level", "error") => level = Some("error"),
            ("level", "silent") => level = None,
            ("level", _) => return Err(ClashError::body_invalid()),
            ("format", "structured") => form = LogForm::Structured,
            _ => {}
        }
    }
    let changes = state.api.control.log_changes();
    // A reader that comes sees what was written a moment ago.
    let begin = changes.borrow().saturating_sub(BEFORE);
    let begun = (state.api.control.clone(), changes, begin, true);
    let lines = stream::unfold(begun, move |(control, mut changes, mut after, mut is_first)| async move {
        loop {
            if !std::mem::take(&mut is_first) {
                // The sender lives as long as the process.
                changes.changed().await.ok()?;
            }
            let query = LogQuery {
                level: level.map(str::to_owned),
                after: Some(after),
                limit: Some(MOST_AT_ONCE),
                ..LogQuery::default()
            };
            let page = control.log(&query).ok()?;
            after = page.last;
            if level.is_some() && !page.items.is_empty() {
                let lines: Vec<String> = page.items.iter().map(|line| line_json(line, form)).collect();
                return Some((stream::iter(lines), (control, changes, after, is_first)));
            }
        }
    });
    streams::send(&state, reader, lines.flatten())
}

/// A line in the words of Clash, with its fields behind the message.
fn line_json(line: &LogLineDto, form: LogForm) -> String {
    let level = match line.level.as_str() {
        "error" => "error",
        "warn" => "warning",
        "info" => "info",
        _ => "debug",
    };
    let payload = if line.fields.is_empty() {
        line.message.clone()
    } else {
        format!("{} {}", line.message, line.fields.join(" "))
    };
    match form {
        LogForm::Plain => json_line(&json!({ "type": level, "payload": payload })),
        LogForm::Structured => {
            let level = if level == "warning" { "warn" } else { level };
            let time = DateTime::from_timestamp_millis(i64::try_from(line.at).unwrap_or_default()).unwrap_or_default();
            json_line(&json!({
                "time": time.format("%H:%M:%S").to_string(), "level": level, "message": payload, "fields": [],
            }))
        }
    }
}
