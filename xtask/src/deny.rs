//! Checks all crates in the graph: licences, bans, sources and known vulnerabilities.
//!
//! deny.toml has the rules. Everything but the vulnerabilities is checked without a network, from what the build has used.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::{graph::Graph, peers};

/// How long the database of vulnerabilities may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks all of it.
///
/// # Errors
/// What deny.toml does not allow, and, when `require` is set, a cargo-deny that cannot be installed.
pub(crate) fn run(root: &Path, require: bool) -> anyhow::Result<()> {
    let program = match peers::tool(root, "cargo-deny") {
        Ok(program) => program,
        Err(error) if require => return Err(error.context("cargo-deny is required")),
        Err(error) => {
            println!("deny: SKIPPED, cargo-deny cannot be installed: {error:#}");
            return Ok(());
        }
    };
    let graph = Graph::file(root)?;
    let deny = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(root).stdin(Stdio::null()).args(["--log-level", "error", "--metadata-path"]);
        command.arg(&graph).args(words);
        command
    };
    let checked = deny(&["--offline", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]).status();
    ensure!(checked.context("cannot start cargo-deny")?.success(), "see the errors above; the rules are in deny.toml");
    if let Err(reason) = fetched(&mut deny(&["fetch", "db"])) {
        println!("deny: advisories SKIPPED, their database cannot be reached ({reason:#})");
        return Ok(());
    }
    let checked = deny(&["--offline", "check", "--hide-inclusion-graph", "advisories"]).status();
    ensure!(checked.context("cannot start cargo-deny")?.success(), "a crate has a known vulnerability: see above");
    Ok(())
}

/// Runs a quiet command that asks the network.
fn fetched(command: &mut Command) -> anyhow::Result<()> {
    let errors = tempfile::tempfile()?;
    let child = command.stdout(Stdio::null()).stderr(errors).spawn().context("cannot start cargo-deny")?;
    let status = within(PATIENCE, child)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Waits for a child, and ends it when it takes longer.
fn within(limit: Duration, mut child: Child) -> anyhow::Result<ExitStatus> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait()?;
    bail!("it took longer than {} s", limit.as_secs())
}

/// Writes the licences and notices of every crate that is part of the program, each text once. Returns where.
///
/// # Errors
/// When the graph or a text cannot be read.
pub(crate) fn notices(root: &Path) -> anyhow::Result<()> {
    let graph = Graph::read(root)?;
    let file = crate::graph::target(root).join("THIRD-PARTY-NOTICES.txt");
    fs::write(&file, graph.notices("hezar")?).with_context(|| format!("cannot write {}", file.display()))?;
    println!("written to {}", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_an_end() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(within(Duration::from_millis(200), child).is_err());
        let child = Command::new("true").spawn().unwrap();
        assert!(within(Duration::from_secs(60), child).unwrap().success());
    }
}
