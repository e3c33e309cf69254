//! Real cores as children: their processes, the sidecar engine over them, and `engine = "clash"`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod accepted;
mod clash;
mod process;
mod rows;
mod sidecar;
mod xray;
