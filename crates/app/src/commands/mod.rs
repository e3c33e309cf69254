//! One file per command, and what they share: the configuration and the runtime.

mod config;
mod export;
mod fetch;
mod init;
mod nodes;
mod objects;
mod page;
mod parse;
mod probe;
mod remote;
mod run;
mod settings;
mod status;
mod top;
mod values;
mod version;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context;

use crate::{
    cli::{ApiCommand, Cli, Command},
    config::{Config, ConfigReader, Layers},
    places::{Places, UserFolders},
    remote::Remote,
    running::Running,
};

/// Variables that are flags, not keys.
const FLAG_VARIABLES: [&str; 2] = ["HEZAR_CONFIG", "HEZAR_DATA"];

/// What the command line and the environment say besides the command itself.
#[derive(Clone, Debug)]
struct GlobalArgs {
    user: UserFolders,
    places: Places,
    layers: Layers,
}

pub(crate) fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let user = UserFolders::from_environment();
    // An empty variable counts as absent.
    let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    let places = Places::find(given(cli.config).as_deref(), &user, |path| path.exists());
    let layers = layers(given(cli.data), places.default_data.clone());
    let mut global = GlobalArgs { user, places, layers };
    let wants_store =
        matches!(cli.command, Command::Fetch(_) | Command::Probe(_) | Command::Export(_) | Command::Backup(_));
    if wants_store {
        global.follow_running()?;
    }
    match cli.command {
        Command::Run(args) => run::run(&mut global, &args),
        Command::Init(args) => init::init(&global, &args),
        Command::Fetch(args) => match global.running()? {
            Some(remote) => block_on(fetch::fetch_remotely(remote, args)),
            None => block_on(fetch::fetch(global.config()?, global.reader(), args)),
        },
        Command::Probe(args) => match global.running()? {
            Some(remote) => block_on(probe::probe_remotely(remote, args)),
            None => block_on(probe::probe(global.config()?, global.reader(), args)),
        },
        Command::Nodes(args) => block_on(nodes::nodes(global.remote()?, args)),
        Command::Add(args) => block_on(remote::add(global.remote()?, args)),
        Command::Remove(args) => block_on(remote::remove(global.remote()?, args)),
        Command::Bans(args) => block_on(remote::bans(global.remote()?, args)),
        Command::Reload(args) => block_on(remote::reload(global.remote()?, args)),
        Command::Source(command) => block_on(objects::source(global.remote()?, command)),
        Command::Listener(command) => block_on(objects::listener(global.remote()?, command)),
        Command::User(command) => block_on(objects::user(global.remote()?, command)),
        Command::Settings(command) => block_on(settings::settings(global.remote()?, command)),
        Command::Token(command) => block_on(settings::token(global.remote()?, command)),
        Command::Audit(args) => block_on(settings::audit(global.remote()?, args)),
        Command::Status(args) => block_on(status::status(global.remote()?, args)),
        Command::Version(args) => version::version(&args),
        Command::Completions(args) => version::completions(&args),
        Command::Page(args) => block_on(page::page(global.remote()?, args)),
        Command::Top => block_on(top::top(global.remote()?)),
        Command::Parse(args) => parse::parse(&args),
        Command::Export(args) => block_on(export::export(global.config()?, args)),
        Command::Backup(args) => block_on(export::backup(global.config()?, args)),
        Command::Api(ApiCommand::Schema) => version::schema(),
        Command::Config(command) => config::config(&global, &command),
    }
}

impl GlobalArgs {
    /// Where the configuration comes from.
    fn reader(&self) -> ConfigReader {
        ConfigReader::new(self.places.file.clone(), self.layers.clone())
    }

    /// Reads the configuration file, if there is one, without the objects of the store.
    fn config(&self) -> anyhow::Result<Config> {
        let reader = self.reader();
        Ok(reader.parse(&reader.text()?, &[], &|_| false)?)
    }

    /// The instance that runs with the data folder of this configuration, if one does.
    fn running(&self) -> anyhow::Result<Option<Remote>> {
        Ok(Remote::running(&self.config()?.data, &self.places))
    }

    /// Where nothing names a configuration or a data folder, those of the instance that the user runs are meant, whatever
    /// its folder.
    fn follow_running(&mut self) -> anyhow::Result<()> {
        if self.places.file.is_some() || self.layers.data.is_some() || self.running()?.is_some() {
            return Ok(());
        }
        if let Some(running) = Running::of_user(&self.user) {
            self.places.file = running.config;
            self.layers.data = Some(running.data);
        }
        Ok(())
    }

    /// The running instance that these folders belong to.
    fn remote(&self) -> anyhow::Result<Remote> {
        let config = self.config()?;
        if self.layers.environment.contains_key("HEZAR_API_LISTEN") {
            return Remote::configured(&config, &self.user);
        }
        match Remote::running(&config.data, &self.places) {
            Some(remote) => Ok(remote),
            None if self.places.file.is_none() && self.layers.data.is_none() => {
                Remote::of_user(&self.user).map_or_else(|| Remote::configured(&config, &self.user), Ok)
            }
            None => Remote::configured(&config, &self.user),
        }
    }
}

fn layers(data: Option<PathBuf>, default_data: PathBuf) -> Layers {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("HEZAR_") && !FLAG_VARIABLES.contains(&name.as_str()))
        .collect();
    Layers { environment, flags: BTreeMap::new(), data, default_data }
}

fn block_on(task: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(task)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
