//! One file per command or kind of commands.

mod alert;
mod backup;
mod cluster;
mod config;
mod control_plane;
mod cores;
mod doctor;
mod export;
mod fetch;
mod firewall;
mod global;
mod health;
mod init;
mod keys;
mod manual;
mod nodes;
mod objects;
mod page;
mod parse;
mod probe;
mod remote;
mod run;
mod service;
mod settings;
mod site_bans;
mod status;
mod store;
mod top;
mod up;
mod upgrade;
mod values;
mod version;

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::{ApiCommand, Cli, Command, FirewallCommand, LaunchChildArgs};
use global::GlobalArgs;

pub(crate) fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::LaunchChild(args) = cli.command {
        return launch_child(args);
    }
    let mut global = GlobalArgs::new(cli.config, cli.data)?;
    let wants_store = matches!(
        cli.command,
        Command::Fetch(_)
            | Command::Probe(_)
            | Command::Export(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Store(_)
    );
    if wants_store {
        global.follow_running();
    }
    match cli.command {
        Command::Up(args) => up::up(&mut global, &args),
        Command::Run(args) => run::run(&mut global, &args),
        Command::Upgrade(args) => block_on(upgrade::upgrade(&mut global, args)),
        Command::Init(args) => init::init(&mut global, &args),
        Command::Fetch(args) => match global.running() {
            Some(remote) => block_on(fetch::fetch_remotely(remote, args)),
            None => block_on(fetch::fetch(global.config()?, global.reader(), args)),
        },
        Command::Probe(args) => match global.running() {
            Some(remote) => block_on(probe::probe_remotely(remote, args)),
            None => block_on(probe::probe(global.config()?, global.reader(), args)),
        },
        Command::Nodes(args) => block_on(nodes::nodes(global.remote()?, args)),
        Command::Add(args) => block_on(remote::add(global.remote()?, args)),
        Command::Remove(args) => block_on(remote::remove(global.remote()?, args)),
        Command::Rotate(args) => block_on(remote::rotate(global.remote()?, args)),
        Command::Bans(args) => block_on(remote::bans(global.remote()?, args)),
        Command::SiteBan(command) => block_on(site_bans::site_ban(global.remote()?, command)),
        Command::Reload(args) => block_on(remote::reload(global.remote()?, args)),
        Command::Source(command) => block_on(async { objects::source(global.control_plane().await?, command).await }),
        Command::Listener(command) => {
            block_on(async { objects::listener(global.control_plane().await?, command).await })
        }
        Command::User(command) => block_on(async { objects::user(global.control_plane().await?, command).await }),
        Command::Key(command) => keys::key(&command),
        Command::Subscription(command) => {
            block_on(async { objects::subscription(global.control_plane().await?, command).await })
        }
        Command::Settings(command) => {
            block_on(async { settings::settings(&*global.control_plane().await?, command).await })
        }
        Command::Token(command) => block_on(async { settings::token(&*global.control_plane().await?, command).await }),
        Command::Audit(args) => block_on(async { settings::audit(&*global.control_plane().await?, args).await }),
        Command::Alert(command) => block_on(alert::alert(global.remote()?, command)),
        Command::Cluster(args) => block_on(cluster::cluster(global.remote()?, args)),
        Command::Cores(args) => block_on(cores::cores(global.remote()?, args)),
        Command::Status(args) => block_on(status::status(global.remote()?, args)),
        Command::InstallService(args) => service::install(&global, &args),
        Command::UninstallService(args) => service::uninstall(&global, &args),
        Command::Doctor(args) => block_on(doctor::doctor(&global, args)),
        Command::Health(args) => block_on(async { health::health(global.remote_without_token(), args).await }),
        Command::Firewall(FirewallCommand::Print(args)) => {
            block_on(async { firewall::print(&*global.control_plane().await?, args).await })
        }
        Command::Firewall(FirewallCommand::Remove) => firewall::remove(),
        Command::Version(args) => version::version(&args),
        Command::Completions(args) => version::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Page(args) => block_on(page::page(global.remote()?, args)),
        Command::Top => block_on(top::top(global.remote()?)),
        Command::Parse(args) => parse::parse(&args),
        Command::Export(args) => block_on(export::export(global.config()?, args)),
        Command::Backup(args) => block_on(backup::backup(global.config()?, args)),
        Command::Restore(args) => block_on(backup::restore(global.config()?, args)),
        Command::Store(command) => block_on(store::store(global.config()?, command)),
        Command::Api(ApiCommand::Schema) => version::schema(),
        Command::Config(command) => config::config(&global, &command),
        Command::LaunchChild(args) => launch_child(args),
    }
}

/// Needs no configuration, so that a broken one holds no start up.
fn launch_child(args: LaunchChildArgs) -> anyhow::Result<ExitCode> {
    let LaunchChildArgs { parent, program, arguments } = args;
    let error = hezar_child::become_program(parent, &program, arguments);
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

fn block_on(task: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(task)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
