//! What can be said to `hezar up`.

use clap::Args;

use super::JsonArgs;

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Addresses of subscriptions, share links, channels (@name), files; - reads any text with links in it from standard input
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<String>,
    /// The address of a subscription
    #[arg(long, value_name = "URL")]
    pub(crate) subscription: Vec<String>,
    /// A share link
    #[arg(long, value_name = "LINK")]
    pub(crate) link: Vec<String>,
    /// Use public lists, those of `hezar init`
    #[arg(long)]
    pub(crate) public: bool,
    /// Ask nothing, and take the answer that each question suggests
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Let phones and other machines of this network use the proxy, with a user and a password
    #[arg(long)]
    pub(crate) lan: bool,
    /// Install no service: run here, until Ctrl-C
    #[arg(long)]
    pub(crate) no_service: bool,
    /// Start nothing: try, and write the configuration
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Also take nodes on private, loopback and link-local addresses
    #[arg(long)]
    pub(crate) allow_private: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}
