//! Xray as a core: an inbound with a user for each slot, and outbounds that come and go one by one while it runs.

mod api;
mod config;
mod driver;
mod outbound;
mod setup;
#[cfg(test)]
mod tests;

pub(crate) use driver::run_once;
pub(crate) use outbound::check as render;
