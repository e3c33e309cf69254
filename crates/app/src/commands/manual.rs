//! `hezar man`: the manual pages of all commands, made from the same descriptions as `--help`.

use std::{fs, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::version::print_whole;
use crate::{
    cli::{Cli, ManArgs},
    output,
};

/// Writes a page for each command into a folder, or prints the first page.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        return print_whole(&page);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write the manual pages into {}", folder.display()))?;
    output::note(format!("wrote the manual pages into {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// The names of the pages of a command and of those beneath it.
    fn names(command: &Command, name: &str) -> Vec<String> {
        let beneath = command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set())
            .flat_map(|sub| names(sub, &format!("{name}-{}", sub.get_name())));
        std::iter::once(format!("{name}.1")).chain(beneath).collect()
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        man(&ManArgs { folder: Some(pages.clone()) }).unwrap();
        let expected = names(&Cli::command(), "hezar");
        assert!(expected.len() > 40, "{expected:?}");
        for name in &expected {
            let page = fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(page.contains(".SH NAME") && page.contains("SYNOPSIS"), "{name}: {page}");
        }
        assert_eq!(fs::read_dir(&pages).unwrap().count(), expected.len());
    }
}
