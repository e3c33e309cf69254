//! Several processes over one PostgreSQL: what one learns the others know, and the death of any of them costs nobody a request.
//!
//! Each test is the short form of a run of `cargo xtask cluster`. What takes how long is printed, and never decides.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod away;
mod chaos;
mod copy;
mod load;
mod members;
mod objects;
mod probing;
mod quota;
mod refusing;
mod sessions;
mod stage;
mod suspicion;
mod visible;
