//! Between our values and PostgreSQL's.

use std::borrow::Cow;

use hezar_core::NodeId;
use uuid::Uuid;

/// The id of a node as the database keeps it.
pub(super) fn uuid(id: &NodeId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn node_id(id: Uuid) -> NodeId {
    NodeId::from_bytes(*id.as_bytes())
}

/// A text without the one character that PostgreSQL's texts cannot hold (PostgreSQL 15, §8.3).
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

pub(super) fn optional_text(optional: Option<&str>) -> Option<Cow<'_, str>> {
    optional.map(text)
}

/// Two letters of a country.
pub(super) fn country_text(letters: [u8; 2]) -> String {
    String::from_utf8_lossy(&letters).replace('\0', "")
}
