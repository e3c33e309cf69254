//! Sources of nodes: URLs, files, GitHub repositories and public Telegram channels.
//!
//! A [`SourceSpec`] says where nodes are published. [`Fetcher::fetch`] brings what is there, as bytes with a name; it
//! knows nothing of the formats inside. [`Refresher`] decides when which source is due. Everything is bounded: bytes
//! after decompression, redirects, pages, files and time.

mod content;
mod date;
mod document;
mod error;
mod fetcher;
mod file;
mod github;
mod metrics;
mod schedule;
mod spec;
mod subscription;
mod telegram;
mod web;

pub use date::expand as expand_dates;
pub use document::{Document, Documents, FailedDocument, Fetched, Validators};
pub use error::FetchError;
pub use fetcher::{FetchConfig, Fetcher};
pub use metrics::Metrics;
pub use schedule::{Ended, Refresher};
pub use spec::{SourceKind, SourceSpec, Via};
pub use subscription::SubscriptionInfo;

#[cfg(test)]
mod tests;
