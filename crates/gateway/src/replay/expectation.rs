//! What a first flight has to be answered with. Until the answer is whole, nothing of it reaches the client.

use hezar_engine::http::head_end;

/// The most of an answer that is held back.
const MAX_HELD: usize = 32 * 1024;
/// The most header lines that are looked at.
const MAX_LINES: usize = 100;
/// The longest record of TLS, encrypted ones included (RFC 8446 §5.2).
const MAX_RECORD: usize = (1 << 14) + 256;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// The first record of a TLS server: a ServerHello or an alert.
    Tls,
    /// The head of an HTTP answer, and its `body` if there is one and it is known to be small.
    Http { body: bool },
    /// Any byte.
    Any,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// Not enough to go by.
    Partial,
    /// The answer has begun in earnest.
    Whole,
    /// No server of the protocol says that.
    Wrong,
}

impl Expectation {
    /// Looks at what has arrived.
    pub(crate) fn check(self, bytes: &[u8]) -> AnswerState {
        match self {
            _ if bytes.is_empty() => AnswerState::Partial,
            Self::Any => AnswerState::Whole,
            Self::Tls => record(bytes),
            Self::Http { body } => http(bytes, body),
        }
    }
}

/// A first record: `16 03 xx length 02 …` (ServerHello) or `15 03 xx 0002 level code` (alert).
fn record(bytes: &[u8]) -> AnswerState {
    let odd = |place: usize, fine: fn(u8) -> bool| bytes.get(place).is_some_and(|byte| !fine(*byte));
    if odd(0, |byte| matches!(byte, 0x15 | 0x16)) || odd(1, |byte| byte == 3) || odd(2, |byte| byte <= 4) {
        return AnswerState::Wrong;
    }
    let Some((&[kind, _, _, high, low], body)) = bytes.split_first_chunk() else { return AnswerState::Partial };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let fits = if kind == 0x15 { length == 2 } else { (4..=MAX_RECORD).contains(&length) };
    let hello = kind == 0x15 || body.first().is_none_or(|first| *first == 2);
    match (fits && hello, body.len() >= length) {
        (false, _) => AnswerState::Wrong,
        (true, false) => AnswerState::Partial,
        (true, true) => AnswerState::Whole,
    }
}

fn http(bytes: &[u8], body: bool) -> AnswerState {
    let begins = |wanted: &[u8]| bytes.iter().zip(wanted).all(|(byte, wanted)| byte == wanted);
    // Old radio servers say ICY, and players understand them.
    if !begins(b"HTTP/1.") && !begins(b"ICY ") {
        return AnswerState::Wrong;
    }
    let Some(head) = head_end(bytes, 0) else {
        return if bytes.len() >= MAX_HELD { AnswerState::Whole } else { AnswerState::Partial };
    };
    let small = bytes.get(..head).and_then(length).filter(|length| body && head + length <= MAX_HELD);
    if bytes.len() >= head + small.unwrap_or_default() { AnswerState::Whole } else { AnswerState::Partial }
}

/// The length of the body that a head announces; nothing when it announces none.
fn length(head: &[u8]) -> Option<usize> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut response = httparse::Response::new(&mut lines);
    let whole = matches!(response.parse(head), Ok(httparse::Status::Complete(_)));
    let bodiless = matches!(response.code, None | Some(100..=199 | 204 | 304));
    let named = |name: &str| response.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name));
    if !whole || bodiless || named("transfer-encoding").is_some() {
        return None;
    }
    std::str::from_utf8(named("content-length")?.value).ok()?.trim().parse().ok()
}
