//! Hezar, put together: the command line, the configuration, and the wiring of every room.

mod alerts;
mod annotations;
mod api;
mod bans;
mod base;
mod certificates;
mod clash_engine;
mod cli;
mod client_documents;
mod cluster;
mod commands;
pub mod config;
mod convert;
mod cores;
mod dashboard;
mod demo;
mod diagnosis;
mod disk;
mod doctor;
mod exposure;
mod feed;
mod feed_name;
mod firewall;
mod follow;
mod geo;
mod greeting;
mod history;
mod host;
mod inherited_sockets;
mod instance;
mod invitations;
mod local_copy;
mod logs;
mod metrics;
mod nodes;
mod objects;
mod otlp;
mod output;
mod pause;
mod places;
mod qr;
mod remote;
mod replace_file;
mod rlimit;
mod running;
mod runtime;
mod service;
mod service_manager;
mod signals;
mod sources;
mod store_sync;
mod supervise;
mod takeover;
mod token;
mod tokens;
mod tor;
mod version;

use std::process::ExitCode;

pub use cli::Cli;
use hezar_core::CodeDoc;

/// Runs one command. The exit code is 0 for success, 1 for a failure, 2 for a wrong command line or configuration.
#[must_use]
pub fn execute(cli: Cli) -> ExitCode {
    match commands::execute(cli) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            let misconfigured = error.is::<config::Problems>() || error.is::<output::Misuse>();
            ExitCode::from(if misconfigured { 2 } else { 1 })
        }
    }
}

/// Every table of stable codes with its heading in docs/errors.md.
pub fn code_tables() -> impl Iterator<Item = (&'static str, &'static [CodeDoc])> {
    api::codes::tables()
}
