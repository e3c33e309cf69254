//! Recognises first flights that can be replayed: what a client sends before it has received anything, and may be sent twice.
//!
//! ```text
//!   nothing ──bytes──► Partial ──bytes──► Hello | Request   whole and safe: held, sent, and sent again elsewhere
//!                         │                                 until an answer has begun
//!                         └──bytes, silence, the end──► Other   sent once, to one node
//! ```
//! Safe is what cannot act twice: a TLS ClientHello (a handshake begins, nothing else; early data after it is held back,
//! RFC 8446 §8), and a GET, HEAD or OPTIONS without a body (RFC 9110 §9.2.1). Everything else may be a POST.

mod buffer;
mod client_hello;
mod expectation;
mod http_request;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub(crate) use buffer::{ReplayBuffer, ReplayView};
pub(crate) use expectation::{AnswerState, Expectation};

/// The most that is held: the largest ClientHello of one record, or a generous request head.
pub(crate) const MAX_REPLAY: usize = 32 * 1024;

/// What the bytes of a client are, as far as they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// The beginning of something that may turn out to be safe.
    Partial,
    /// A ClientHello of this length; with `early`, data may follow before the server answers.
    Hello { length: usize, early: bool },
    /// A request head of this length that asks for no change of anything.
    Request { length: usize },
    /// Anything else.
    Other,
}

impl FlightKind {
    /// Looks at what has arrived.
    pub(crate) fn classify(bytes: &[u8]) -> Self {
        let kind = match bytes.first() {
            None => Self::Partial,
            Some(&client_hello::RECORD) => client_hello::kind(bytes),
            Some(_) => http_request::kind(bytes),
        };
        match kind {
            Self::Partial if bytes.len() >= MAX_REPLAY => Self::Other,
            // Bytes behind a ClientHello that promises none are not the TLS that we know.
            Self::Hello { length, early: false } if bytes.len() > length => Self::Other,
            kind => kind,
        }
    }
}
