//! The long runs in a short form: what comes of them, never how long it takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod chaos;
mod churn;
mod far;
mod stage;
mod truth;
