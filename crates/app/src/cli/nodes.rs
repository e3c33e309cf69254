//! What can be said about nodes: which ones to list, probe, add, remove, read and write.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::JsonArgs;

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Only these sources
    #[arg(long = "source", value_name = "NAME")]
    pub(crate) sources: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Only these nodes; a choice of nodes needs a running instance
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Only nodes in this state
    #[arg(long, value_parser = ["new", "healthy", "suspect", "dead", "quarantined"])]
    pub(crate) state: Option<String>,
    /// Only nodes of this scheme, e.g. vless
    #[arg(long)]
    pub(crate) scheme: Option<String>,
    /// Only nodes that this source lists
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Only nodes with an exit in this country, e.g. DE
    #[arg(long)]
    pub(crate) country: Option<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    /// Only nodes in this state
    #[arg(long, value_parser = ["new", "healthy", "suspect", "dead", "unsupported", "quarantined", "disabled"])]
    pub(crate) state: Option<String>,
    /// Only nodes of this scheme, e.g. vless
    #[arg(long)]
    pub(crate) scheme: Option<String>,
    /// Only nodes that this source lists
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Only nodes with an exit in this country, e.g. DE
    #[arg(long)]
    pub(crate) country: Option<String>,
    /// Only nodes with an exit in this autonomous system, e.g. 13335 (geo.asn_mmdb)
    #[arg(long)]
    pub(crate) asn: Option<u32>,
    /// Only nodes that give away just this much: elite, anonymous, transparent
    #[arg(long, value_parser = ["elite", "anonymous", "transparent"])]
    pub(crate) anonymity: Option<String>,
    /// Only nodes whose name or server contains this text
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// The order: best (working ones in front, the fastest first), latency, country, name, checked
    #[arg(long, default_value = "best", value_parser = ["best", "latency", "country", "name", "checked"])]
    pub(crate) sort: String,
    /// How many at most
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Skip this many
    #[arg(long, default_value_t = 0)]
    pub(crate) offset: usize,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Share links, or - for standard input
    #[arg(required = true, value_name = "LINK")]
    pub(crate) links: Vec<String>,
    /// Also take nodes on private, loopback and link-local addresses
    #[arg(long)]
    pub(crate) allow_private: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Node ids, as `hezar nodes` prints them; the first 6 digits or more are enough where they name one node
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Keep them away, whatever lists them, until the ban is lifted (`hezar bans --lift`)
    #[arg(long)]
    pub(crate) ban: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Ids of nodes of a Tor source, as `hezar nodes` prints them; the first 6 digits or more are enough where they name one node
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BansArgs {
    /// Lift the bans of these nodes; they come back with the next reading of a source that lists them
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub(crate) lift: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ParseArgs {
    /// A file, or - for standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One share link a line
    Links,
    /// The same, base64: a subscription
    Base64,
    /// Clash (mihomo) YAML
    Clash,
    /// sing-box JSON
    SingBox,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The form to write
    #[arg(long, value_enum, default_value = "links")]
    pub(crate) format: ExportFormat,
    /// Only nodes that worked at the last check
    #[arg(long)]
    pub(crate) healthy: bool,
}
