//! What can be said about a first configuration.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Overwrite an existing file, and keep what stood there beside it; with --vps its keys and passwords stay
    #[arg(long)]
    pub(crate) force: bool,
    /// Set up this machine, which the domain leads to, for phones: a listener of each encrypted kind, a certificate (ACME), a
    /// user, a site, the service; prints the links
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) vps: Option<String>,
    /// With --vps: where nodes come from (web addresses, files, channels, share links); public lists when there is none
    #[arg(value_name = "SOURCE", requires = "vps")]
    pub(crate) sources: Vec<String>,
    /// With --vps: also take nodes on private and loopback addresses
    #[arg(long, requires = "vps")]
    pub(crate) allow_private: bool,
    /// With --vps: the directory of another ACME server than Let's Encrypt
    #[arg(long, value_name = "URL", requires = "vps")]
    pub(crate) acme_directory: Option<String>,
    /// With --vps: a file with a root certificate that the ACME server's own one is checked with
    #[arg(long, value_name = "FILE", requires = "vps")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// With --vps: write the files alone; neither install nor start the service
    #[arg(long, requires = "vps")]
    pub(crate) no_service: bool,
}
