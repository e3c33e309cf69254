//! mihomo as a core: one VLESS listener on loopback for each block of slots, a user per slot, and a rule that leads each user to its node.
//!
//! Nodes change by a whole configuration, which cuts no stream: nodes of the configuration itself, unlike those of providers, live on for the
//! streams that run over them, and equal listeners stay as they are.

mod config;
mod driver;
#[cfg(test)]
mod refusal_tests;
mod setup;
#[cfg(test)]
mod tests;

use hezar_core::NodeSpec;
use hezar_engine::BuildError;

pub(crate) use driver::run_once;

/// A node as entries of `proxies`.
///
/// # Errors
/// [`BuildError::Unsupported`] when mihomo cannot have it.
pub(crate) fn render(name: &str, node: &NodeSpec) -> Result<Vec<String>, BuildError> {
    let entries = hezar_formats::write::clash_proxies(name, node);
    entries.map_err(|_| BuildError::Unsupported("a node that mihomo cannot dial either"))
}
