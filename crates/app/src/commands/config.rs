//! `hezar config check | show`: what is wrong with the configuration, or what is in force.

use std::process::ExitCode;

use serde::Serialize;

use super::GlobalArgs;
use crate::{
    certificates, clash_engine,
    cli::{ConfigCommand, JsonArgs},
    config::{Config, Problem, Problems},
    exposure,
    geo::GeoDatabases,
    output,
};

/// What `hezar config check --json` prints.
#[derive(Debug, Default, Serialize)]
struct CheckLine {
    good: bool,
    problems: Vec<ProblemLine>,
    warnings: Vec<String>,
    /// Absent where the configuration cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<usize>,
    /// The address of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
}

#[derive(Debug, Serialize)]
struct ProblemLine {
    /// The key or the environment variable; empty for the whole file.
    path: String,
    /// The line of the file, counted from 1.
    line: Option<usize>,
    message: String,
}

pub(super) fn config(global: &GlobalArgs, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show => output::line(global.config()?.show().trim_end())?,
        ConfigCommand::Check(JsonArgs { json: true }) => return check_for_programs(global),
        ConfigCommand::Check(JsonArgs { json: false }) => {
            let config = global.config()?;
            check_files(&config)?;
            warnings(&config).for_each(|warning| output::note(format!("warning: {warning}")));
            let sources = output::count(config.sources.len(), "source");
            output::line(format!("the configuration is good: {sources}, proxy on {}", config.proxy.listen))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check_for_programs(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let checked = match global.config() {
        Ok(config) => CheckLine {
            problems: check_files(&config).err().map(problem_lines).unwrap_or_default(),
            warnings: warnings(&config).collect(),
            sources: Some(config.sources.len()),
            proxy: Some(config.proxy.listen.to_string()),
            good: false,
        },
        Err(error) => {
            let problems = error.downcast::<Problems>()?;
            CheckLine { problems: problem_lines(problems), ..CheckLine::default() }
        }
    };
    let good = checked.problems.is_empty();
    output::json(&CheckLine { good, ..checked })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn problem_lines(Problems(problems): Problems) -> Vec<ProblemLine> {
    problems.into_iter().map(|Problem { path, line, message, .. }| ProblemLine { path, line, message }).collect()
}

fn warnings(config: &Config) -> impl Iterator<Item = String> {
    config.warnings.iter().cloned().chain(exposure::warnings(config)).chain(clash_engine::warnings(config))
}

/// Reads the files that a configuration names, for nothing but their mistakes.
fn check_files(config: &Config) -> Result<(), Problems> {
    let databases = GeoDatabases::open(&config.geo).map(drop);
    let programs = tor_program(config);
    let engine = clash_engine::check(config);
    let found = [databases, certificates::check(config), programs, engine].into_iter().filter_map(Result::err);
    let problems: Vec<Problem> = found.map(|error| problem(format!("{error:#}"))).collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// A Tor client that is named has to be there; where none is named, one may be installed later.
fn tor_program(config: &Config) -> anyhow::Result<()> {
    let missing = config.tor.binary.as_ref().filter(|program| !program.is_file());
    match missing {
        Some(program) => anyhow::bail!("tor.binary: there is no file {}", program.display()),
        None => Ok(()),
    }
}

fn problem(message: String) -> Problem {
    Problem { path: String::new(), line: None, object: None, message }
}
