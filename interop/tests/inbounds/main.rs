//! Hezar's encrypted listeners with real programs as their clients: `cargo test -p hezar-interop --test inbounds -- --nocapture`
//! prints what each client was shown to do at each listener.
//!
//! The clients are configured by what `/sub/TOKEN?doors=1` gives them; only local ports are added.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod clients;
mod limits;
mod multiplexed;
mod reality;
mod rows;
mod suite;
mod world;

use hezar_interop::Peer;

#[test]
fn sing_box() {
    suite::play(Peer::SingBox);
}

#[test]
fn mihomo() {
    suite::play(Peer::Mihomo);
}

#[test]
fn xray() {
    suite::play(Peer::Xray);
}

#[test]
fn hysteria() {
    suite::play(Peer::Hysteria);
}
