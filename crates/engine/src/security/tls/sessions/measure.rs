//! How large a session is, told from its debug output: rustls offers no other way to look into one.
//!
//! Its bytes come out as two hexadecimal digits each, behind the names of their fields. Nothing of the output is kept.

use std::fmt::{self, Debug, Write};

/// The size of ticket and certificates in bytes; `None` when the ticket is longer than `longest`, both are larger than `largest`, or
/// the output has no ticket in it.
pub(super) fn size(session: &impl Debug, longest: usize, largest: usize) -> Option<usize> {
    let mut measure = Measure { field: Field::Other, ticket: None, written: 0, longest, largest };
    write!(measure, "{session:?}").ok()?;
    measure.ticket.map(|_| measure.written.div_ceil(2))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Ticket,
    Other,
}

struct Measure {
    field: Field,
    /// Digits of the ticket.
    ticket: Option<usize>,
    /// All that was written.
    written: usize,
    longest: usize,
    largest: usize,
}

impl Write for Measure {
    /// Ends the output as soon as it is too long.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.written += text.len();
        match (self.field, text) {
            (_, "ticket") => {
                self.field = Field::Ticket;
                self.ticket = Some(0);
            }
            (Field::Ticket, ": ") => {}
            (Field::Ticket, text) if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                self.ticket = self.ticket.map(|digits| digits + text.len());
            }
            _ => self.field = Field::Other,
        }
        let too_long = self.ticket.is_some_and(|digits| digits.div_ceil(2) > self.longest);
        if too_long || self.written.div_ceil(2) > self.largest { Err(fmt::Error) } else { Ok(()) }
    }
}
