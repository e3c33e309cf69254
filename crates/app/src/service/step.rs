//! One step of an installation: what it does, and what it has done.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use super::unit;
use crate::running::write_private;

/// A change of this machine. Each can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Copies the program to where the service can read it.
    CopyProgram { from: PathBuf, to: PathBuf },
    /// Makes a folder and those above it.
    Folder(PathBuf),
    /// Writes a file that only its owner reads, unless there is one already.
    File { path: PathBuf, text: String },
    /// Writes a unit, unless somebody has changed the one that is there; with `force` then as well.
    Unit { path: PathBuf, text: String, force: bool },
    /// Runs a program of the system. Where `may_fail` is set its failure is only told.
    Run { words: Vec<String>, may_fail: bool },
    /// Removes a unit that this program has written.
    RemoveUnit(PathBuf),
    /// Removes a file, or a folder with all that is in it.
    Remove(PathBuf),
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something is different now.
    Done(String),
    /// It was so already, or was left on purpose; the text says which.
    Left(String),
}

impl Step {
    /// A command of the system that has to succeed.
    pub(crate) fn run(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Run { words: words.into_iter().map(Into::into).collect(), may_fail: false }
    }

    /// A command of the system that may fail.
    pub(super) fn attempt(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Run { words: words.into_iter().map(Into::into).collect(), may_fail: true }
    }

    /// What it would do, as the rest of a sentence that begins with "would".
    pub(crate) fn plan(&self) -> String {
        match self {
            Self::CopyProgram { from, to } => format!("copy {} to {}", from.display(), to.display()),
            Self::Folder(path) => format!("make the folder {}", path.display()),
            Self::File { path, .. } => format!("write {}, unless it is there", path.display()),
            Self::Unit { path, text, .. } => format!("write {}:\n{}", path.display(), indented(text)),
            Self::Run { words, .. } => format!("run: {}", words.join(" ")),
            Self::RemoveUnit(path) | Self::Remove(path) => format!("remove {}", path.display()),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// What the system refuses, and a unit that is another program's.
    pub(crate) fn perform(&self) -> anyhow::Result<Outcome> {
        match self {
            Self::CopyProgram { from, to } => copy_program(from, to),
            Self::Folder(path) => make_folder(path),
            Self::File { path, text } => write_file(path, text),
            Self::Unit { path, text, force } => write_unit(path, text, *force),
            Self::Run { words, may_fail } => run(words, *may_fail),
            Self::RemoveUnit(path) => remove_unit(path),
            Self::Remove(path) => remove(path),
        }
    }
}

fn copy_program(from: &Path, to: &Path) -> anyhow::Result<Outcome> {
    if fs::read(from).ok() == fs::read(to).ok() {
        return Ok(Outcome::Left(format!("{} is this program already", to.display())));
    }
    // Put in place by a name: a program that runs cannot be written to.
    let aside = to.with_extension("new");
    fs::copy(from, &aside)
        .and_then(|_| fs::rename(&aside, to))
        .with_context(|| format!("cannot copy the program to {}", to.display()))?;
    Ok(Outcome::Done(format!("copied the program to {}", to.display())))
}

fn make_folder(path: &Path) -> anyhow::Result<Outcome> {
    if path.is_dir() {
        return Ok(Outcome::Left(format!("{} is there", path.display())));
    }
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(Outcome::Done(format!("made {}", path.display())))
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<Outcome> {
    if path.exists() {
        return Ok(Outcome::Left(format!("kept {} as it is", path.display())));
    }
    write_private(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Outcome::Done(format!("wrote {}", path.display())))
}

fn write_unit(path: &Path, text: &str, force: bool) -> anyhow::Result<Outcome> {
    let text = unit::stamped(text);
    match fs::read_to_string(path) {
        Ok(there) if there == text => return Ok(Outcome::Left(format!("{} is up to date", path.display()))),
        Ok(there) if !force && !unit::is_untouched(&there) => {
            return Ok(Outcome::Left(format!("kept {}, which you have changed (--force replaces it)", path.display())));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        _ => {}
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Outcome::Done(format!("wrote {}", path.display())))
}

fn run(words: &[String], may_fail: bool) -> anyhow::Result<Outcome> {
    let Some((program, arguments)) = words.split_first() else { bail!("an empty command") };
    let shown = words.join(" ");
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if may_fail && !output.status.success() {
        return Ok(Outcome::Left(format!("`{shown}` did not succeed: {said}")));
    }
    ensure!(output.status.success(), "`{shown}` failed ({}): {said}", output.status);
    Ok(Outcome::Done(format!("ran: {shown}")))
}

fn remove_unit(path: &Path) -> anyhow::Result<Outcome> {
    match fs::read_to_string(path) {
        Ok(text) if !unit::is_ours(&text) => {
            Ok(Outcome::Left(format!("kept {}, which `hezar install-service` has not written", path.display())))
        }
        _ => remove(path),
    }
}

fn remove(path: &Path) -> anyhow::Result<Outcome> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(Outcome::Done(format!("removed {}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Outcome::Left(format!("{} is not there", path.display())))
        }
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_can_be_repeated_and_keep_what_somebody_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hezar.service");
        let unit =
            |text: &str, force| Step::Unit { path: path.clone(), text: text.to_owned(), force }.perform().unwrap();
        let is_done = |outcome| matches!(outcome, Outcome::Done(_));
        assert!(is_done(unit("[Service]\n", false)));
        assert!(!is_done(unit("[Service]\n", false)), "written twice");
        // A newer version replaces what nobody has touched.
        assert!(is_done(unit("[Service]\nType=notify\n", false)));
        let changed = fs::read_to_string(&path).unwrap() + "Nice=5\n";
        fs::write(&path, &changed).unwrap();
        assert!(!is_done(unit("[Service]\n", false)));
        assert_eq!(fs::read_to_string(&path).unwrap(), changed);
        assert!(is_done(unit("[Service]\n", true)));
        assert!(is_done(Step::RemoveUnit(path.clone()).perform().unwrap()));
        assert!(!is_done(Step::RemoveUnit(path.clone()).perform().unwrap()));
        fs::write(&path, "[Service]\n").unwrap();
        assert!(!is_done(Step::RemoveUnit(path.clone()).perform().unwrap()), "another program's unit was removed");
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let words = ["sh", "-c", "echo the reason >&2; exit 3"];
        let error = Step::run(words).perform().unwrap_err().to_string();
        assert!(error.contains("the reason"), "{error}");
        assert!(matches!(Step::attempt(words).perform().unwrap(), Outcome::Left(text) if text.contains("the reason")));
        assert!(Step::run(["/nowhere/program"]).perform().is_err());
    }
}
