//! Xray as a core: how it is configured and started, and how outbounds are put into it and taken out while it runs.

mod api;
mod config;
mod setup;
#[cfg(test)]
mod tests;

pub use api::{AddedOutbounds, XrayApi, XrayApiError};
pub use setup::XraySetup;
