//! `hezar init`: a commented configuration to start from.

use std::{fs::OpenOptions, io::Write, path::Path, process::ExitCode};

use anyhow::Context;

use super::{DEFAULT_FILE, Said};
use crate::{cli::InitArgs, config::TEMPLATE, output};

pub(super) fn init(said: &Said, args: &InitArgs) -> anyhow::Result<ExitCode> {
    let file = said.file.as_deref().unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut written = options.open(file).with_context(|| {
        format!("cannot write {} (an existing file is only overwritten with --force)", file.display())
    })?;
    written.write_all(TEMPLATE.as_bytes())?;
    output::line(format!("wrote {}; start with: hezar run --config {}", file.display(), file.display()))?;
    Ok(ExitCode::SUCCESS)
}
