//! The program as a user meets it: every test starts the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod access_log;
mod alerts;
mod anonymity;
mod api;
mod api_live;
mod api_nodes;
mod changing;
mod churn;
mod clash;
mod command_line;
mod control;
mod demo;
mod dialable;
mod error_page;
mod export;
mod feed;
mod harness;
mod health;
mod http_nodes;
mod keeping;
mod links;
mod listeners;
mod memory;
mod metrics;
mod outage;
mod page;
mod places;
#[cfg(unix)]
mod postgres;
mod power_cut;
mod quota;
mod receiver;
mod reload;
mod rotating;
mod service;
mod sessions;
mod sources;
mod subscriptions;
mod takeover;
mod traces;
mod up;
