//! The shapes of a core's answers, as far as they are used here.

use std::collections::HashMap;

use serde::{Deserialize, de::IgnoredAny};

/// Which core it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CoreVersion {
    /// Its version, such as `v1.19.32`.
    pub version: String,
    /// Whether it is mihomo (once called Clash.Meta).
    #[serde(default)]
    pub meta: bool,
}

impl CoreVersion {
    /// Major, minor and patch number; `None` for a build between releases, such as `alpha-1a2b3c`.
    #[must_use]
    pub fn numbers(&self) -> Option<(u32, u32, u32)> {
        let text = self.version.trim_start_matches('v');
        let end = text.find(|letter: char| letter != '.' && !letter.is_ascii_digit()).unwrap_or(text.len());
        let mut parts = text.get(..end)?.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    }
}

/// A node.
#[derive(Clone, Debug, Deserialize)]
pub struct CoreProxy {
    /// Its name.
    pub name: String,
    /// The checks of it, by their URL.
    #[serde(default)]
    pub extra: HashMap<String, CoreChecks>,
}

/// The checks of a node with one URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CoreChecks {
    /// Whether the last one brought the status that was expected. The answer to the check itself does not say so.
    pub alive: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Provider {
    #[serde(default)]
    pub(super) proxies: Vec<CoreProxy>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Ports {
    #[serde(default)]
    pub(super) mixed_port: u16,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delay {
    pub(super) delay: u32,
}

/// What runs through a core.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoreConnections {
    /// Bytes to clients since the core has started.
    pub download_total: u64,
    /// Bytes from clients since the core has started.
    pub upload_total: u64,
    /// Each connection that is open, of which only that it is there is read; absent for none.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub connections: Vec<IgnoredAny>,
}

/// Go writes an empty list as null.
fn null_as_empty<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Vec<IgnoredAny>, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}
