//! What can be said about the service of systemd.

use clap::Args;

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ScopeArgs {
    /// A service of the whole system, under a user of its own (the default for root)
    #[arg(long, conflicts_with = "user")]
    pub(crate) system: bool,
    /// A service of your own user, without root (the default for everybody else)
    #[arg(long)]
    pub(crate) user: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct InstallServiceArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace units that somebody has changed
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not start it now, only at the next boot or login
    #[arg(long)]
    pub(crate) no_start: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct UninstallServiceArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove configuration, data and logs as well
    #[arg(long)]
    pub(crate) purge: bool,
}
