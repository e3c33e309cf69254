//! Hezar, put together: the command line, the configuration, and the wiring of every room.

mod answers;
mod bans;
mod board;
mod by_hand;
mod cli;
mod collect;
mod commands;
pub mod config;
mod control;
mod demo;
mod diagnosis;
mod exposure;
mod files;
mod geo;
mod greeting;
mod instance;
mod log_files;
mod logs;
mod on_demand;
mod order;
mod output;
mod persist;
mod places;
mod records;
mod remote;
mod restore;
mod running;
mod sessions;
mod spec;
mod store_status;
mod supervise;
mod token;
mod via;
mod yields;

use std::process::ExitCode;

pub use cli::Cli;
pub use collect::SOURCE_CODES;

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
