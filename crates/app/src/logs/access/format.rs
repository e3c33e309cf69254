//! The lines of the access log.

use std::{
    fmt::{self, Write as _},
    io::Write,
    time::Duration,
};

use hezar_core::{Timestamp, civil_date};
use hezar_gateway::AccessRecord;
use serde::Serialize;

use crate::config::AccessLogFormat;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A request as a JSON object. docs/logs.md describes the fields.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    listener: &'a str,
    inbound: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    attempts: u32,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    up: u64,
    down: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    total_ms: f64,
}

/// Says in the access log itself that lines are missing.
#[derive(Serialize)]
struct DroppedLine {
    time: String,
    dropped: u64,
}

/// Adds the line of a request.
pub(super) fn write_line(format: AccessLogFormat, record: &AccessRecord, lines: &mut Vec<u8>) {
    match format {
        AccessLogFormat::Json => write_json(&json(record), lines),
        AccessLogFormat::Combined => {
            let _ = writeln!(lines, "{}", Combined(record));
        }
    }
}

/// Adds the line that says how many lines are missing before it. The combined format has no room for it.
pub(super) fn write_dropped(format: AccessLogFormat, at: Timestamp, dropped: u64, lines: &mut Vec<u8>) {
    if format == AccessLogFormat::Json {
        write_json(&DroppedLine { time: rfc3339(at), dropped }, lines);
    }
}

fn write_json(line: &impl Serialize, lines: &mut Vec<u8>) {
    // Writing to memory does not fail, and neither do these fields.
    let _ = serde_json::to_writer(&mut *lines, line);
    lines.push(b'\n');
}

fn json(record: &AccessRecord) -> JsonLine<'_> {
    JsonLine {
        time: rfc3339(record.at),
        listener: &record.listener,
        inbound: record.inbound,
        method: record.method.as_ref().map(|method| method.as_str()),
        client: record.client,
        user: record.user.as_deref().filter(|user| !user.is_empty()),
        session: record.session.map(|session| session.to_string()),
        target: record.target.as_ref().map(ToString::to_string),
        node: record.node.map(|node| node.to_string()),
        exit: record.exit,
        country: record.country.map(|country| String::from_utf8_lossy(&country).into_owned()),
        attempts: record.attempts,
        code: record.code,
        status: record.status,
        up: record.up,
        down: record.down,
        connect_ms: record.connect.map(milliseconds),
        first_byte_ms: record.first_byte.map(milliseconds),
        total_ms: milliseconds(record.total),
    }
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// A line of the Combined Log Format (Apache: mod_log_config): `client - user [time] "request" status bytes "-" "-"`.
struct Combined<'a>(&'a AccessRecord);

impl fmt::Display for Combined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        match record.client {
            Some(client) => write!(f, "{client}")?,
            None => f.write_char('-')?,
        }
        f.write_str(" - ")?;
        escaped(f, record.user.as_deref().unwrap_or_default())?;
        write!(f, " [{}] \"", ClfTime(record.at))?;
        request(f, record)?;
        match record.status {
            Some(status) => write!(f, "\" {status}")?,
            None => f.write_str("\" -")?,
        }
        write!(f, " {} \"-\" \"-\"", record.down)
    }
}

/// The request line: what was asked for, without a path.
fn request(f: &mut fmt::Formatter<'_>, record: &AccessRecord) -> fmt::Result {
    let target = record.target.as_ref().map(ToString::to_string).unwrap_or_default();
    let (method, scheme, version) = match (record.inbound, &record.method) {
        ("http", Some(method)) => (method.as_str(), "http://", "HTTP/1.1"),
        ("socks4", _) => ("CONNECT", "", "SOCKS4"),
        ("socks5", _) => ("CONNECT", "", "SOCKS5"),
        ("socks5-udp", _) => ("ASSOCIATE", "", "SOCKS5"),
        ("http" | "connect", _) => ("CONNECT", "", "HTTP/1.1"),
        // An encrypted inbound: its own name stands for the version.
        (inbound, _) => match inbound.strip_suffix("-udp") {
            Some(protocol) => ("ASSOCIATE", "", protocol),
            None => ("CONNECT", "", inbound),
        },
    };
    escaped(f, method)?;
    f.write_char(' ')?;
    f.write_str(if target.is_empty() { "" } else { scheme })?;
    escaped(f, &target)?;
    f.write_str(if scheme.is_empty() || target.is_empty() { "" } else { "/" })?;
    write!(f, " {version}")
}

/// A text as one word: `-` for an empty one, and everything that is not plain ASCII as `\xHH` (Apache escapes so too).
fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.is_empty() {
        return f.write_char('-');
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
            b'!'..=b'~' => f.write_char(char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

/// `2026-11-29T13:00:00.123Z` (RFC 3339).
fn rfc3339(at: Timestamp) -> String {
    let ((year, month, day), (hour, minute, second)) = parts(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.0 % 1000)
}

/// `29/Nov/2026:13:00:00 +0000` (Common Log Format).
struct ClfTime(Timestamp);

impl fmt::Display for ClfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((year, month, day), (hour, minute, second)) = parts(self.0);
        let month = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"Jan");
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

/// The date and the time of day in UTC.
fn parts(at: Timestamp) -> ((i64, i64, i64), (u64, u64, u64)) {
    let seconds = at.0 / 1000;
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    (civil_date(i64::try_from(day).unwrap_or_default()), (rest / 3600, rest % 3600 / 60, rest % 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::access::tests::record;

    fn line(format: AccessLogFormat, record: &AccessRecord) -> String {
        let mut lines = Vec::new();
        write_line(format, record, &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_json_line_has_everything_that_is_known_and_nothing_else() {
        let line_text = line(AccessLogFormat::Json, &record());
        assert!(line_text.ends_with("}\n") && line_text.lines().count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line_text).unwrap();
        let expected = serde_json::json!({
            "time": "2026-11-30T13:00:00.123Z", "listener": "proxy", "inbound": "http", "method": "GET",
            "client": "192.0.2.7", "user": "ann \"x\"\n", "target": "example.org:80",
            "node": "00000000000000000000000000000001", "exit": "203.0.113.9", "country": "DE", "attempts": 2,
            "code": "ok", "status": 404, "up": 120, "down": 4096, "connect_ms": 12.5, "first_byte_ms": 20.25,
            "total_ms": 31.0,
        });
        assert_eq!(value, expected);
        let bare = AccessRecord {
            method: None,
            client: None,
            user: None,
            target: None,
            node: None,
            exit: None,
            country: None,
            status: None,
            connect: None,
            first_byte: None,
            ..record()
        };
        let value: serde_json::Value = serde_json::from_str(&line(AccessLogFormat::Json, &bare)).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys.len(), 8, "{keys:?}");
    }

    #[test]
    fn a_combined_line_is_one_that_log_analysers_read() {
        assert_eq!(
            line(AccessLogFormat::Combined, &record()),
            "192.0.2.7 - ann\\x20\\\"x\\\"\\x0a [30/Nov/2026:13:00:00 +0000] \"GET http://example.org:80/ HTTP/1.1\" 404 4096 \"-\" \"-\"\n"
        );
        let of = |inbound| AccessRecord { inbound, method: None, user: Some("".into()), ..record() };
        let text = line(AccessLogFormat::Combined, &of("socks5"));
        assert!(text.starts_with("192.0.2.7 - - [") && text.contains("\"CONNECT example.org:80 SOCKS5\""), "{text}");
        let text = line(AccessLogFormat::Combined, &of("vless"));
        assert!(text.contains("\"CONNECT example.org:80 vless\""), "{text}");
        let text = line(AccessLogFormat::Combined, &of("vless-udp"));
        assert!(text.contains("\"ASSOCIATE example.org:80 vless\""), "{text}");
        let private = AccessRecord { client: None, user: None, target: None, status: None, ..record() };
        let text = line(AccessLogFormat::Combined, &private);
        assert!(text.starts_with("- - - [") && text.contains("\"GET - HTTP/1.1\" - 4096"), "{text}");
    }

    #[test]
    fn missing_lines_are_told_where_there_is_room() {
        let mut lines = Vec::new();
        write_dropped(AccessLogFormat::Combined, Timestamp(0), 3, &mut lines);
        assert!(lines.is_empty());
        write_dropped(AccessLogFormat::Json, Timestamp(0), 3, &mut lines);
        assert_eq!(lines, b"{\"time\":\"1970-01-01T00:00:00.000Z\",\"dropped\":3}\n");
    }
}
