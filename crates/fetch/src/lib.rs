//! Sources of nodes: URLs, files, GitHub repositories and public Telegram channels.
//!
//! A [`SourceSpec`] says where nodes are published. [`Fetcher::fetch`] brings what is there, as bytes with a name; it
//! knows nothing of the formats inside. [`Refresher`] decides when which source is due. Everything is bounded: bytes
//! after decompression, redirects, pages, files and time.

mod config;
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

pub use config::FetchConfig;
pub use date::{expand_dates, parse_http_date};
pub use document::{Document, Documents, FailedDocument, Fetched, Validators};
pub use error::FetchError;
pub use fetcher::Fetcher;
pub use metrics::FetchMetrics;
pub use schedule::{FetchOutcome, Refresher};
pub use spec::{SourceKind, SourceSpec, Via};
pub use subscription::SubscriptionInfo;

#[cfg(test)]
mod tests;
