//! What can be said about bans of exits for sites.

use std::time::Duration;

use clap::{Args, Subcommand};
use hezar_core::settings::read_duration;

use super::JsonArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum SiteBanCommand {
    /// List the exits that are not used for a site now; bans that end first come first
    #[command(
        after_help = "Examples:\n  hezar site-ban list\n  hezar site-ban list --site example.com --json | jq -r .id"
    )]
    List(SiteBansArgs),
    /// Do not use an exit for a site for a time
    #[command(after_help = "Examples:\n  hezar site-ban add example.com --exit 203.0.113.7 --for 2h\n  \
                      hezar site-ban add example.com --node 4254ec --reason 'asks for a captcha'")]
    Add(AddSiteBanArgs),
    /// Lift bans: those with these ids, or all that fit
    #[command(
        after_help = "Examples:\n  hezar site-ban lift example.com@203.0.113.7\n  hezar site-ban lift --site example.com"
    )]
    Lift(LiftSiteBansArgs),
}

/// Which bans are meant; all that is given must fit.
#[derive(Debug, Args)]
pub(crate) struct SiteBanFilterArgs {
    /// Bans for this site: any of its hosts
    #[arg(long, value_name = "HOST")]
    pub(crate) site: Option<String>,
    /// Bans of this exit
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) exit: Option<String>,
    /// Bans whose site or reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SiteBansArgs {
    #[command(flatten)]
    pub(crate) filter: SiteBanFilterArgs,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddSiteBanArgs {
    /// A host of the site; the ban holds for its whole registrable domain
    #[arg(value_name = "HOST")]
    pub(crate) site: String,
    /// The exit
    #[arg(long, value_name = "ADDRESS", required_unless_present = "node", conflicts_with = "node")]
    pub(crate) exit: Option<String>,
    /// A node, whose exit is meant
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<String>,
    /// How long it lasts, such as 30m or 7d; an hour unless said, a year at most
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) time: Option<Duration>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LiftSiteBansArgs {
    /// The ids, as `hezar site-ban list --json` prints them
    #[arg(value_name = "SITE@EXIT")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: SiteBanFilterArgs,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

fn time(text: &str) -> Result<Duration, String> {
    read_duration(text).ok_or_else(|| "expected a time such as 30m, 2h or 7d".to_owned())
}
