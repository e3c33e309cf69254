//! The chores of this repository: `cargo xtask test` is the whole gate.

mod api_fuzz;
mod deny;
mod dist;
mod fuzz;
mod gate;
mod graph;
mod load;
mod measure;
mod page;
mod peers;
mod program;
mod source;
mod step;
mod tidy;
mod words;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "The chores of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole gate: format, tidy, clippy, tests, docs, licences, interoperability.
    Test {
        /// A peer that cannot be installed is a failure instead of a skipped line.
        #[arg(long)]
        require_peers: bool,
    },
    /// Checks which crates and modules import which, and the shape of files.
    Tidy,
    /// Lists the number of public items of each crate, and type names that stand for more than one thing.
    Words,
    /// Checks licences, bans, sources and known vulnerabilities of all crates by deny.toml; what cannot be reached is skipped.
    Deny,
    /// Sends requests that schemathesis makes up from the OpenAPI document to a live instance.
    ApiFuzz,
    /// Writes the licence texts of all crates in the program to THIRD-PARTY-NOTICES.txt in the target folder.
    Notices,
    /// Makes what people download: a tarball, a Debian package, a Python wheel, checksums and a bill of materials.
    Dist(dist::DistArgs),
    /// Fuzzes decoders with libFuzzer; the kept corpus is replayed in the tests without it.
    Fuzz {
        /// The decoders, by the names of the folders in fuzz/corpus; all when none is named.
        decoders: Vec<String>,
        /// How long each one runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Load while the nodes turn bad and good at random, beside mihomo and sing-box; with --distance the nodes are far away. 10
    /// minutes and more.
    Chaos {
        /// What the program `chaos` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Whether the pool knows which nodes are bad while they turn, and what that costs in probes; about 10 minutes.
    Truth {
        /// What the program `truth` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Tunnels and requests while a subscription exchanges 5,000 of 20,000 nodes every second; about 2 minutes.
    Churn {
        /// What the program `churn` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Idle, slow and hostile clients: what they cost, and how a good one fares; about 3 minutes.
    Crowd {
        /// What the program `crowd` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// 5,000 nodes through a core: start, memory, streams through changes of its nodes, CPU beside native; about 5 minutes.
    Sidecar {
        /// What the program `sidecar` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// A sweep of 2,000 mostly mute nodes by the PROBE core, beside mihomo's own health check; about 4 minutes.
    CoreSweep {
        /// What the program `core_sweep` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Ten takeovers in a row at 200 requests a second and 300 open tunnels, and upgrades to a broken program; about 3 minutes.
    Takeover {
        /// What the program `takeover` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Several members over one PostgreSQL: changes, probes, deaths, sessions, quota, a million nodes; about 2 minutes a run.
    Cluster {
        /// What the program `cluster` takes: the name of a run and its numbers; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What the access log costs: without it, with it, and over a disk that stands still; about 15 minutes.
    AccessLog {
        /// What the program `access_log` takes; --help lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// This gateway, sing-box and mihomo as clients of the same servers: CPU, latency and memory as ratios.
    BenchPeers {
        /// Options of the benchmark: --runs, --tunnels, --idle, --mib, --rows.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Our encrypted inbounds beside those of sing-box and Xray: CPU, latency and memory of the servers as ratios.
    Inbounds {
        /// Options of the benchmark: --runs, --tunnels, --idle, --mib, --kinds.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Strangers at our encrypted inbounds, at a fixed rate: what they cost, and how a good client fares meanwhile.
    Strangers {
        /// Options of the load: --per-second, --seconds, --every, --kinds.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Mixed load over all rows while the servers restart at random; nothing may stay behind.
    Soak {
        /// How long the load lasts.
        #[arg(long, default_value_t = 30)]
        minutes: u32,
    },
    /// The real programs that the interoperability tests run against.
    Peers {
        #[command(subcommand)]
        command: PeersCommand,
    },
}

#[derive(Debug, Subcommand)]
enum PeersCommand {
    /// Installs the pinned versions into the cache folder ($HEZAR_PEERS, or hezar/peers in the user's cache).
    Install {
        /// A peer that cannot be installed is a failure.
        #[arg(long)]
        require: bool,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let root = root()?;
    match Cli::parse().command {
        Command::Test { require_peers } => gate::run(&root, require_peers),
        Command::Tidy => tidy::run(&root),
        Command::Words => words::report(&root),
        Command::Deny => deny::run(&root, false),
        Command::ApiFuzz => api_fuzz::run(&root, true),
        Command::Notices => deny::notices(&root),
        Command::Dist(args) => dist::run(&root, &args),
        Command::Fuzz { decoders, seconds } => fuzz::run(&root, decoders, seconds),
        Command::Chaos { arguments } => load::run(&root, "chaos", &arguments),
        Command::Truth { arguments } => load::run(&root, "truth", &arguments),
        Command::Churn { arguments } => load::run(&root, "churn", &arguments),
        Command::AccessLog { arguments } => load::run(&root, "access_log", &arguments),
        Command::Cluster { arguments } => load::run(&root, "cluster", &arguments),
        Command::Crowd { arguments } => load::run(&root, "crowd", &arguments),
        Command::Sidecar { arguments } => load::run(&root, "sidecar", &arguments),
        Command::CoreSweep { arguments } => load::run(&root, "core_sweep", &arguments),
        Command::Takeover { arguments } => load::run(&root, "takeover", &arguments),
        Command::BenchPeers { options } => measure::beside_peers(&root, "peers", &options),
        Command::Inbounds { options } => measure::beside_peers(&root, "inbounds", &options),
        Command::Strangers { options } => measure::beside_peers(&root, "strangers", &options),
        Command::Soak { minutes } => measure::soak(&root, minutes),
        Command::Peers { command: PeersCommand::Install { require } } => peers::install(&root, require).map(drop),
    }
}

/// The folder of the workspace: the one that cargo runs in, since work trees may share their target folder.
fn root() -> anyhow::Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().map(Path::to_path_buf).context("xtask has no parent folder")
}
