//! The result of a fetch: its documents, and the validators that make the next fetch conditional.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::SubscriptionInfo;

/// The outcome of a fetch that did not fail.
#[allow(clippy::large_enum_variant, reason = "there is one for each fetch, and it is taken apart at once")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Everything is as it was; the validators passed in stay good.
    NotModified,
    /// What is there now.
    Documents(Documents),
}

/// The documents of one fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// New and changed documents. May be empty when documents only went away.
    pub documents: Vec<Document>,
    /// Names of documents that are there and are as they were; their bytes were not fetched again.
    pub unchanged: Vec<Box<str>>,
    /// Names of documents that are gone since the last fetch.
    pub removed: Vec<Box<str>>,
    /// Documents that are there and could not be had this time.
    pub failed: Vec<FailedDocument>,
    /// Whether there is more than the bounds allowed: too many files, a file that is too large, more pages.
    pub truncated: bool,
    /// For the next fetch.
    pub validators: Validators,
    /// What the provider says about the subscription: traffic, expiry, title. Only a URL's answer has it.
    pub subscription: Option<SubscriptionInfo>,
}

impl Documents {
    /// Whether [`Documents::documents`] is everything the source lists: then it replaces what was listed before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unchanged.is_empty() && self.failed.is_empty()
    }

    /// The bytes in all documents.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.documents.iter().map(|document| document.bytes.len() as u64).sum()
    }
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// A file name or path, such as `socks5.txt`: it may hint at what plain addresses inside are.
    pub name: Box<str>,
    /// The content, decompressed, at most [`SourceSpec::max_bytes`](crate::SourceSpec::max_bytes).
    pub bytes: Bytes,
}

/// A document that could not be had although others could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDocument {
    /// Its name.
    pub name: Box<str>,
    /// The stable code of the failure.
    pub code: &'static str,
    /// The text for a person.
    pub reason: Box<str>,
}

/// What makes a fetch conditional. Kept as text between runs; opaque to everyone else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Validators {
    /// A hash of what was asked for: the answer to another question is never "not modified".
    pub(crate) subject: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
    /// A tag for each document by name: a blob's hash, a file's time and size.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) documents: BTreeMap<String, String>,
}

impl Validators {
    /// Reads [`Validators::to_text`]; a text that is none makes the next fetch unconditional.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// One line of text for the store.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Empty validators for this question.
    pub(crate) fn for_subject(subject: &impl Hash) -> Self {
        Self { subject: digest(subject), ..Self::default() }
    }

    /// These validators if they are about the same question as `other`, or nothing.
    pub(crate) fn same_subject(&self, other: &Self) -> Self {
        if self.subject == other.subject { self.clone() } else { Self::for_subject(&()) }
    }
}

/// A hash that tells two texts apart. It may change with the compiler: then one fetch is unconditional.
pub(crate) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
