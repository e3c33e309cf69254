//! The server beside our client, and beside whoever is none.

mod clients;
mod parts;
mod sites;
mod strangers;
pub(in crate::security::reality) mod world;
