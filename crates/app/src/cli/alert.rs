//! What can be said about alerts.

use clap::Subcommand;

use super::{JsonArgs, NamedArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List the alerts with the state of their troubles
    #[command(after_help = "Examples:\n  hezar alert list\n  hezar alert list --json | jq -r .name")]
    List(JsonArgs),
    /// Send a message that says that it is a test, and say whether it arrived
    #[command(after_help = "Example:\n  hezar alert test phone")]
    Test(NamedArgs),
}
