//! Checks that a node can be accepted: its link can be read back, and its pins can be checked.

use hezar_core::{Label, NodeSpec, Outbound, UNREADABLE_PIN};

use super::{MAX_BYTES, to_link};
use crate::RejectCode;

/// The longest link that a node may have without its name, in bytes. The rest of [`MAX_BYTES`] has room for the longest name
/// in every form of links.
pub(crate) const MAX_LINK_BYTES: usize = MAX_BYTES - 2048;

/// The longest text whose node cannot have a link beyond the limit: escapes and base64 make a text at most eight times
/// as long, and a chain of links with all their defaults adds a few thousand bytes.
const SHORT_TEXT: usize = 4096;

/// Checks a node, its chain included.
pub(crate) fn check(node: &NodeSpec) -> Result<(), RejectCode> {
    check_pins(node)?;
    if to_link(node, &Label::default()).len() > MAX_LINK_BYTES { Err(RejectCode::TooLong) } else { Ok(()) }
}

/// As [`check`], for a node that was read from a text of this many bytes.
pub(crate) fn check_text(node: &NodeSpec, length: usize) -> Result<(), RejectCode> {
    if length > SHORT_TEXT { check(node) } else { check_pins(node) }
}

/// Refuses a pin that could not be read. A node that was published with a pin is often authenticated by nothing else.
fn check_pins(node: &NodeSpec) -> Result<(), RejectCode> {
    let unreadable = |outbound: &Outbound| outbound.tls_layers().any(|tls| tls.pins.contains(&UNREADABLE_PIN));
    if node.hops().any(|hop| unreadable(&hop.outbound)) { Err(RejectCode::BadPin) } else { Ok(()) }
}
