//! Ports with TLS beside real clients (curl, Python, Chromium), nginx in front, and certificates from an ACME server (Pebble).

mod acme;
mod clients;
mod nginx;
mod world;

pub(crate) use world::Authority;
