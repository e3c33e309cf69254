//! Share links, subscriptions and client configurations, read and written.
//!
//! [`parse`] never fails as a whole: it gives the nodes it understood and, for every line it refused, the place and a
//! stable code. The law that ties reading and writing: `parse(to_link(n)) == n`.

mod address;
mod amnezia;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
mod carrier;
mod charset;
mod clash_only;
mod document;
mod field;
mod hints;
mod link;
mod list;
mod markup;
mod outbound;
mod parsed;
mod rare;
mod reject;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod uri;
pub mod write;

pub use charset::decode;
pub use hints::{Hints, ListScheme};
pub use link::{LinkReader, parse_link, to_link};
pub use parsed::{Entry, Parsed, Reject};
pub use reject::RejectCode;
pub use text::{MAX_BYTES, MAX_LINE_BYTES, parse, parse_with};
