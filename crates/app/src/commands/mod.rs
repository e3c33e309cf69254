//! One file per command, and what they share: the configuration and the runtime.

mod config;
mod export;
mod fetch;
mod init;
mod parse;
mod probe;
mod remote;
mod run;
mod top;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

use crate::{
    cli::{Cli, Command},
    config::{Config, Layers},
};

/// The file that is read when no other is named.
const DEFAULT_FILE: &str = "hezar.toml";
/// Variables that are flags, not keys.
const FLAG_VARIABLES: [&str; 2] = ["HEZAR_CONFIG", "HEZAR_DATA"];

/// What was said besides the command.
#[derive(Debug)]
struct Said {
    file: Option<PathBuf>,
    layers: Layers,
}

pub(crate) fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut said = Said { file: cli.config, layers: layers(cli.data) };
    match cli.command {
        Command::Run(args) => run::run(&mut said, &args),
        Command::Init(args) => init::init(&said, &args),
        Command::Fetch(args) => block_on(fetch::fetch(said.config()?, args)),
        Command::Probe(args) => block_on(probe::probe(said.config()?, args)),
        Command::Nodes(args) => block_on(remote::nodes(said.config()?, args)),
        Command::Add(args) => block_on(remote::add(said.config()?, args)),
        Command::Remove(args) => block_on(remote::remove(said.config()?, args)),
        Command::Status(args) => block_on(remote::status(said.config()?, args)),
        Command::Top => block_on(top::top(said.config()?)),
        Command::Parse(args) => parse::parse(&args),
        Command::Export(args) => block_on(export::export(said.config()?, args)),
        Command::Backup(args) => block_on(export::backup(said.config()?, args)),
        Command::Config(command) => config::config(&said, &command),
    }
}

impl Said {
    /// Reads the named file, or `hezar.toml` when there is one, or nothing.
    fn config(&self) -> anyhow::Result<Config> {
        let (text, file) = self.text()?;
        Ok(Config::read(&text, file.as_deref(), &self.layers)?)
    }

    fn text(&self) -> anyhow::Result<(String, Option<PathBuf>)> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
            None => return Ok((String::new(), None)),
        };
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read the configuration {} (`hezar init` writes one)", file.display()))?;
        Ok((text, Some(file)))
    }
}

fn layers(data: Option<PathBuf>) -> Layers {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("HEZAR_") && !FLAG_VARIABLES.contains(&name.as_str()))
        .collect();
    Layers { environment, flags: BTreeMap::new(), data }
}

fn block_on(task: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(task)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
