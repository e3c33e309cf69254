//! `hezar config check | show`: what is wrong with the configuration, or what is in force.

use std::process::ExitCode;

use super::GlobalArgs;
use crate::{certificates, cli::ConfigCommand, exposure, geo::GeoDatabases, output};

pub(super) fn config(global: &GlobalArgs, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    let config = global.config()?;
    match command {
        ConfigCommand::Show => output::line(config.show().trim_end())?,
        ConfigCommand::Check => {
            GeoDatabases::open(&config.geo)?;
            certificates::check(&config)?;
            let warnings = config.warnings.iter().cloned().chain(exposure::warnings(&config));
            warnings.for_each(|warning| output::note(format!("warning: {warning}")));
            let sources = output::count(config.sources.len(), "source");
            output::line(format!("the configuration is good: {sources}, proxy on {}", config.proxy.listen))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
