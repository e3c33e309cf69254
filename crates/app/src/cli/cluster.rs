//! What can be said about the instances that share a store.

use clap::{Args, Subcommand};

use super::{JsonArgs, NamedArgs};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ClusterCommand>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Take an instance out of use: no new clients, no nodes to probe, no sources; open tunnels go on
    #[command(after_help = "Example:\n  hezar cluster drain gateway-2")]
    Drain(NamedArgs),
    /// Take an instance into use again
    #[command(after_help = "Example:\n  hezar cluster undrain gateway-2")]
    Undrain(NamedArgs),
}
