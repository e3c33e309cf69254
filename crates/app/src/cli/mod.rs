//! The command line: what can be said, with an example for each command.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use hezar_core::{Roles, settings::listen_address};

/// One proxy address in front of thousands of upstream proxies.
#[derive(Debug, Parser)]
#[command(name = "hezar", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// The configuration file [default: ./hezar.toml, else ~/.config/hezar/hezar.toml, when one exists]
    #[arg(long, short, global = true, value_name = "FILE", env = "HEZAR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the store and the API token [default: hezar-data beside the configuration file, else ~/.local/share/hezar]
    #[arg(long, global = true, value_name = "DIR", env = "HEZAR_DATA")]
    pub(crate) data: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hezar up                                          set it up: asks for a subscription or links
  hezar run --demo                                  try it, no network needed
  curl -x http://127.0.0.1:8000 http://demo.hezar/  one request through it
  hezar init && hezar run                           for real, public sources
  hezar nodes --state healthy                       what carries traffic now
  hezar parse list.txt                              what is read in a file";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set everything up: try a subscription, links or a pasted chat, write the configuration, and start
    #[command(
        after_help = "Examples:\n  hezar up\n  hezar up 'https://example.org/sub?token=x'\n  hezar up - < chat.txt\n  \
                      hezar up --yes --lan 'vless://…' 'ss://…'\n\n\
                      It can be said again at any time: what is given is added, and nothing is overwritten."
    )]
    Up(UpArgs),
    /// Run everything: fetch, probe, store, serve
    #[command(
        after_help = "Examples:\n  hezar run\n  hezar run --demo\n  hezar run --config /etc/hezar.toml --data /var/lib/hezar"
    )]
    Run(RunArgs),
    /// Replace the running instance by a new version of the program, without a cut
    #[command(
        after_help = "Examples:\n  hezar upgrade\n  hezar upgrade --check\n  hezar upgrade --binary ./hezar-new\n\n\
                      Open tunnels go on in the process before, for proxy.takeover_drain at most. When the new program does not serve, the one \
                      before does as ever. docs/upgrade.md says more."
    )]
    Upgrade(UpgradeArgs),
    /// Write a commented hezar.toml with well-known public sources; or set up a whole machine for phones (--vps DOMAIN)
    #[command(
        after_help = "Examples:\n  hezar init && hezar config check\n  sudo hezar init --vps vps.example.org\n  \
                      sudo hezar init --vps vps.example.org 'https://example.org/sub?token=x'"
    )]
    Init(InitArgs),
    /// Read every source now, and say what each gave; a running instance is asked to do it
    #[command(after_help = "Examples:\n  hezar fetch\n  hezar fetch --source mine --json")]
    Fetch(FetchArgs),
    /// Check nodes now, and say which work; a running instance is asked to do it
    #[command(
        after_help = "Examples:\n  hezar probe\n  hezar probe --state dead\n  hezar probe --json > results.jsonl"
    )]
    Probe(ProbeArgs),
    /// List the nodes of the running instance
    #[command(
        after_help = "Examples:\n  hezar nodes --state healthy --limit 20\n  hezar nodes --scheme vless --json | jq -r .id\n\n\
                      With --json every node is a line."
    )]
    Nodes(NodesArgs),
    /// Add links to the running instance
    #[command(after_help = "Examples:\n  hezar add 'ss://…' 'vless://…'\n  hezar add - < links.txt")]
    Add(AddArgs),
    /// Remove nodes from the running instance; with --ban no list brings them back
    #[command(after_help = "Examples:\n  hezar remove 4254ecba997a029360fbbbdc5958b2dd\n  hezar remove 4254ec --ban")]
    Remove(RemoveArgs),
    /// Give Tor circuits of the running instance another exit
    #[command(after_help = "Example:\n  hezar rotate 4254ec")]
    Rotate(RotateArgs),
    /// List the banned nodes of the running instance, or lift bans
    #[command(after_help = "Examples:\n  hezar bans\n  hezar bans --lift 4254ec")]
    Bans(BansArgs),
    /// Exits that the running instance does not use for a site for a time: list, add, lift
    #[command(subcommand)]
    SiteBan(SiteBanCommand),
    /// Let the running instance read its configuration again, and apply what differs
    #[command(after_help = "Examples:\n  hezar reload\n  hezar config check && hezar reload")]
    Reload(JsonArgs),
    /// Sources: list, add, change, pause, test, remove; of the running instance, or of the store when none runs
    #[command(
        subcommand,
        after_help = "Examples:\n  hezar source add mine 'https://example.org/sub?token=x'\n  hezar source list"
    )]
    Source(SourceCommand),
    /// Further addresses for clients: list, add, change, remove
    #[command(
        subcommand,
        after_help = "Examples:\n  hezar listener add europe listen=127.0.0.1:8001 countries=DE,NL\n  hezar listener list"
    )]
    Listener(ListenerCommand),
    /// Users of the proxy: list, add, change, switch off, remove, usage, links for phones
    #[command(subcommand, after_help = "Examples:\n  hezar user add alice quota.month=50GiB\n  hezar user usage alice")]
    User(UserCommand),
    /// Make keys for the configuration file; nothing is stored
    #[command(subcommand, after_help = "Example:\n  hezar key reality")]
    Key(KeyCommand),
    /// Addresses at which phones and other clients read the nodes that work: list, add, change, switch off, remove
    #[command(
        subcommand,
        after_help = "Examples:\n  hezar subscription add phone countries=DE,NL top=50\n  hezar subscription list"
    )]
    Subscription(SubscriptionCommand),
    /// Settings: list, get, set, unset
    #[command(
        subcommand,
        after_help = "Examples:\n  hezar settings get probe.interval\n  hezar settings set probe.interval=30s proxy.attempts=8"
    )]
    Settings(SettingsCommand),
    /// Tokens for the API: list, create, revoke
    #[command(subcommand, after_help = "Example:\n  hezar token create grafana --scope read")]
    Token(TokenCommand),
    /// Show who changed what, when and how
    #[command(after_help = "Examples:\n  hezar audit\n  hezar audit --kind source --name mine --json")]
    Audit(AuditArgs),
    /// Alerts that the running instance sends itself: list, test
    #[command(subcommand, after_help = "Examples:\n  hezar alert list\n  hezar alert test phone")]
    Alert(AlertCommand),
    /// The instances that share the store: list, drain, undrain
    #[command(
        after_help = "Examples:\n  hezar cluster\n  hezar cluster drain gateway-2\n  hezar cluster --json | jq -r .name"
    )]
    Cluster(ClusterArgs),
    /// Show the installed cores that dial what this program does not speak, and the nodes that wait for one
    #[command(after_help = "Examples:\n  hezar cores\n  hezar cores --json | jq .refused")]
    Cores(JsonArgs),
    /// Show the state of the running instance
    Status(JsonArgs),
    /// Look at the machine, the network, the files and the running instance, and say what to do about what is not well
    #[command(
        after_help = "Examples:\n  hezar doctor\n  hezar doctor --json\n\nThe exit code is 1 when something has failed."
    )]
    Doctor(JsonArgs),
    /// Install and start Hezar as a service of systemd, for the whole system or for one user
    #[command(
        after_help = "Examples:\n  sudo hezar install-service\n  hezar install-service --user\n  hezar install-service --dry-run"
    )]
    InstallService(InstallServiceArgs),
    /// Stop and remove the service that `hezar install-service` has installed
    #[command(after_help = "Examples:\n  sudo hezar uninstall-service\n  hezar uninstall-service --user --purge")]
    UninstallService(UninstallServiceArgs),
    /// Say whether the running instance is ready to serve: exit code 0 or 1, for containers, monitors and scripts
    #[command(after_help = "Examples:\n  hezar health\n  hezar health --live --timeout 1\n  hezar health --json")]
    Health(HealthArgs),
    /// Watch the running instance: pool, traffic, sources, last errors
    Top,
    /// Print the address of the web page, with a code that signs a browser in once, and open it
    #[command(after_help = "Examples:\n  hezar page\n  hezar page --print | qrencode -t ansiutf8")]
    Page(PageArgs),
    /// Print what the parser reads in a file or on standard input
    #[command(
        after_help = "Examples:\n  hezar parse subscription.txt\n  curl -s https://example.org/sub | hezar parse - --json"
    )]
    Parse(ParseArgs),
    /// Write the stored nodes in another form
    #[command(
        after_help = "Examples:\n  hezar export --format clash --healthy > clash.yaml\n  hezar export --format base64"
    )]
    Export(ExportArgs),
    /// Copy the store to a file while it is in use
    #[command(
        after_help = "Examples:\n  hezar backup hezar-backup.db\n  hezar backup --force /backups/hezar.db.zst   # compressed\n  \
                      hezar backup --keep 14 /backups               # one more, the newest 14 stay"
    )]
    Backup(BackupArgs),
    /// Put a backup or a snapshot in the place of the store; no instance may run
    #[command(
        after_help = "Examples:\n  hezar restore --check hezar-backup.db   # what it holds; changes nothing\n  hezar restore hezar-backup.db.zst"
    )]
    Restore(RestoreArgs),
    /// The store as a whole: copy it into another one, say what it is
    #[command(subcommand)]
    Store(StoreCommand),
    /// The packet filter that belongs to the configuration: only SSH and the proxy can be reached from other machines
    #[command(subcommand)]
    Firewall(FirewallCommand),
    /// Say which version this is, and of which commit
    Version(JsonArgs),
    /// Print a script that lets a shell complete commands and options
    #[command(
        after_help = "Examples:\n  hezar completions bash > ~/.local/share/bash-completion/completions/hezar\n  \
                            hezar completions fish > ~/.config/fish/completions/hezar.fish"
    )]
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands into a folder, or print the first one
    #[command(after_help = "Examples:\n  hezar man ~/.local/share/man/man1 && man hezar-nodes\n  hezar man | man -l -")]
    Man(ManArgs),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Describe the API for programs
    #[command(subcommand)]
    Api(ApiCommand),
    /// Become another program, which is killed when the process PARENT ends: how Hezar starts its cores
    #[command(hide = true)]
    LaunchChild(LaunchChildArgs),
}

mod alert;
mod cluster;
mod control;
mod firewall;
mod init;
mod nodes;
mod service;
mod site_bans;
mod store;
mod up;

pub(crate) use alert::AlertCommand;
pub(crate) use cluster::{ClusterArgs, ClusterCommand};
pub(crate) use control::{
    AuditArgs, KeyCommand, ListenerCommand, NamedArgs, ObjectArgs, SettingsCommand, SourceCommand, SubscriptionCommand,
    TokenCommand, UserCommand, UserKeyArgs, UserLinkArgs,
};
pub(crate) use firewall::{FirewallCommand, PrintFirewallArgs};
pub(crate) use init::InitArgs;
pub(crate) use nodes::{
    AddArgs, BansArgs, ExportArgs, ExportFormat, FetchArgs, NodesArgs, ParseArgs, ProbeArgs, RemoveArgs, RotateArgs,
};
pub(crate) use service::{InstallServiceArgs, ScopeArgs, UninstallServiceArgs};
pub(crate) use site_bans::{AddSiteBanArgs, LiftSiteBansArgs, SiteBanCommand, SiteBansArgs};
pub(crate) use store::{BackupArgs, CopyStoreArgs, RestoreArgs, StoreCommand};
pub(crate) use up::UpArgs;

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Add a loopback world of upstream servers, some of them dead or slow; needs no network
    #[arg(long)]
    pub(crate) demo: bool,
    /// Apply a changed configuration file only at SIGHUP and `hezar reload`, not as soon as it has changed
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// Take over from the instance that runs with the same data folder: sockets, store, sessions; without one, start as ever
    #[arg(long, conflicts_with = "demo")]
    pub(crate) takeover: bool,
    /// What this process does among several with one store in PostgreSQL, instead of cluster.roles: fetch, probe, gateway, api
    #[arg(long, value_name = "ROLES", conflicts_with = "demo")]
    pub(crate) role: Option<Roles>,
    /// Say whether this could start, and end
    #[arg(long, hide = true)]
    pub(crate) check: bool,
    /// What carries clients' requests: native, or clash (two Clash cores, mihomo); instead of engine.kind
    #[arg(long, value_name = "ENGINE", value_parser = ["native", "clash"])]
    pub(crate) engine: Option<String>,
    /// The address that clients use, instead of proxy.listen
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// The address of the API, instead of api.listen
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    pub(crate) api: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct LaunchChildArgs {
    /// The process id of the one that starts it
    #[arg(value_name = "PARENT")]
    pub(crate) parent: u32,
    /// The program
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: PathBuf,
    /// Its arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The program to start instead of the file from which the running one was started
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Only see whether the program starts with the same arguments and configuration
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON for programs instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct HealthArgs {
    /// Only whether the program answers, also while no node carries traffic (/healthz instead of /readyz)
    #[arg(long)]
    pub(crate) live: bool,
    /// The longest that the answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PageArgs {
    /// Only print the address, also where there is a browser
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; it is made where it is missing
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with the configuration
    Check(JsonArgs),
    /// Print the configuration in force, secrets hidden
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// Print the OpenAPI 3.1 document, as GET /api/v1/openapi.json answers it
    #[command(after_help = "Example:\n  hezar api schema > openapi.json")]
    Schema,
}
