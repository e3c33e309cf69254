//! `hezar init`: a commented configuration to start from, or a whole machine for phones.

mod vps;
mod vps_file;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    process::ExitCode,
};

use anyhow::Context;

use super::GlobalArgs;
use crate::{cli::InitArgs, config::template, output, places::FILE_NAME, replace_file::keep_copy};

pub(super) fn init(global: &mut GlobalArgs, args: &InitArgs) -> anyhow::Result<ExitCode> {
    if let Some(domain) = &args.vps {
        return vps::set_up(global, domain, args);
    }
    let file = global.places.file.as_deref().filter(|_| global.places.named).unwrap_or_else(|| Path::new(FILE_NAME));
    if args.force {
        keep_what_differs(file, &template())?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    // The file will hold passwords and tokens.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut written = options.open(file).with_context(|| {
        format!("cannot write {} (an existing file is only overwritten with --force)", file.display())
    })?;
    written.write_all(template().as_bytes())?;
    let named = if global.places.named { format!(" --config {}", file.display()) } else { String::new() };
    output::line(format!("wrote {}; start with: hezar run{named}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps a copy of what stands in a file, unless that is nothing or the text that is to stand there, and says where the copy is.
fn keep_what_differs(file: &Path, text: &str) -> anyhow::Result<()> {
    if !file.is_file() || fs::read(file).is_ok_and(|known| known.is_empty() || known == text.as_bytes()) {
        return Ok(());
    }
    let copy = keep_copy(file).with_context(|| format!("what stands in {} cannot be kept", file.display()))?;
    output::note(format!("kept what stood in {} as {}", file.display(), copy.display()));
    Ok(())
}
