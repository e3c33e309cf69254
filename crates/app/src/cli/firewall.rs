//! What can be said about the packet filter.

use std::time::Duration;

use clap::{Args, FromArgMatches as _, Subcommand};
use hezar_core::settings::read_duration;

use crate::firewall::{AllowedPort, FirewallFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum FirewallCommand {
    /// Print the rules that belong to the configuration in force, or put them into force
    #[command(
        after_help = "Examples:\n  hezar firewall print > firewall.nft\n  hezar firewall print --format iptables > firewall.sh\n  \
                      hezar firewall print --ssh 2222 --allow 443 --allow 51820/udp --apply\n\n\
                      Everything else from other machines is dropped, also what other programs serve: name their ports with --allow."
    )]
    Print(PrintFirewallArgs),
    /// Take the rules away again, those of nftables and of iptables
    #[command(after_help = "Example:\n  hezar firewall remove")]
    Remove,
}

#[derive(Debug, Args)]
pub(crate) struct PrintFirewallArgs {
    /// How the rules are written
    #[arg(long, value_enum, default_value = "nft")]
    pub(crate) format: FirewallFormat,
    /// Ports of SSH, which stay open; that of the session this runs in is added
    #[arg(long, value_name = "PORT", default_values_t = [22], value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ssh: Vec<u16>,
    /// Ports of other programs that stay open, such as 443, 6000-6010 or 51820/udp
    #[arg(long, value_name = "PORT[/udp]")]
    pub(crate) allow: Vec<AllowedPort>,
    /// New connections to the proxy that one address (in IPv6 one /64) may open in a second; 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) rate: u32,
    /// Connections that an address may open at once before the rate holds
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) burst: u32,
    /// Put the rules into force, and take them back unless you say that you can still reach this machine
    #[arg(long)]
    pub(crate) apply: bool,
    /// Keep the applied rules without asking
    #[arg(long, requires = "apply")]
    pub(crate) yes: bool,
    /// How long to wait for your word before the applied rules are taken back
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "apply", value_parser = waiting_time)]
    pub(crate) wait: Duration,
}

impl PrintFirewallArgs {
    /// Those of a command line that names none.
    ///
    /// # Errors
    /// Never: each option has a default.
    pub(crate) fn defaults() -> Result<Self, clap::Error> {
        let command = Self::augment_args(clap::Command::new("print"));
        Self::from_arg_matches(&command.try_get_matches_from(["print"])?)
    }
}

fn waiting_time(text: &str) -> Result<Duration, String> {
    let allowed = Duration::from_secs(5)..=Duration::from_secs(3600);
    read_duration(text).filter(|time| allowed.contains(time)).ok_or_else(|| "expected a time from 5s to 1h".to_owned())
}
