//! Share links, subscriptions and client configurations, read and written.
//!
//! [`parse`] never fails as a whole: it gives the nodes it understood and, for every line it refused, the place and a
//! stable code. The law that ties reading and writing: `parse(to_link(n)) == n`.

mod address;
mod admission;
#[cfg(test)]
mod arbitrary;
mod carrier;
mod charset;
mod document;
mod field;
mod link;
mod outbound;
mod parsed;
#[cfg(test)]
mod tests;
mod text;
pub mod write;

pub use charset::decode;
pub use link::{LinkReader, parse_link, to_link};
pub use parsed::{Entry, Parsed, Reject, RejectCode};
pub use text::{Hints, ListScheme, MAX_BYTES, MAX_LINE_BYTES, parse, parse_with};
