//! The canonical form of a node: one byte string per meaning, from which its identity is hashed.

use std::fmt::Display;

/// Collects named fields. A field with its default value is left out, so a later version can add fields without
/// changing the identity of nodes that do not use them.
#[derive(Debug, Default)]
pub struct Canon {
    bytes: Vec<u8>,
}

impl Canon {
    /// An empty form.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Starts a group: the name of a protocol, a transport or a security layer.
    pub fn group(&mut self, name: &str) {
        self.entry(b'{', name, b"");
    }

    /// A text field; left out when empty.
    pub fn text(&mut self, name: &str, value: &str) {
        self.raw(name, value.as_bytes());
    }

    /// A field of bytes; left out when empty.
    pub fn raw(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.entry(b'=', name, value);
        }
    }

    /// A field that prints itself; left out when absent.
    pub fn show(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, &value.to_string());
        }
    }

    /// A switch; left out when off.
    pub fn flag(&mut self, name: &str, on: bool) {
        if on {
            self.entry(b'+', name, b"");
        }
    }

    /// A list of texts in its order; left out when empty.
    pub fn list<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        for value in values {
            self.entry(b'*', name, value.as_bytes());
        }
    }

    /// The bytes collected so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lengths go in front, so that no value can imitate another field.
    fn entry(&mut self, kind: u8, name: &str, value: &[u8]) {
        self.bytes.push(kind);
        for part in [name.as_bytes(), value] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Something with a canonical form.
pub trait Canonical {
    /// Writes the form.
    fn canonical(&self, canon: &mut Canon);
}
