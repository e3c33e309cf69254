//! Hezar's own subscriptions and its Clash API beside the real programs: what it gives out is read by them and carries
//! traffic, and what dashboards ask has the shape that mihomo's answers have.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod shape;
mod subscription;
mod world;
