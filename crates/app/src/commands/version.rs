//! `hezar version`, `hezar completions` and `hezar api schema`: what the program knows about itself.

use std::{io, process::ExitCode};

use clap::CommandFactory;
use serde_json::json;

use crate::{
    cli::{Cli, CompletionsArgs, JsonArgs},
    output,
    version::{COMMIT, VERSION, platform},
};

pub(super) fn version(args: &JsonArgs) -> anyhow::Result<ExitCode> {
    let target = platform();
    if args.json {
        output::json(&json!({ "version": VERSION, "commit": COMMIT, "target": target }))?;
    } else {
        output::line(format!("hezar {VERSION} (commit {}, {target})", COMMIT.unwrap_or("unknown")))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hezar", &mut script);
    print_whole(&script)
}

pub(super) fn schema() -> anyhow::Result<ExitCode> {
    print_whole(format!("{}\n", hezar_api::openapi_json()).as_bytes())
}

/// Prints a text of many lines. A reader that reads it only in part (`| head`) is no failure.
pub(super) fn print_whole(text: &[u8]) -> anyhow::Result<ExitCode> {
    match io::Write::write_all(&mut io::stdout().lock(), text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "hezar", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
