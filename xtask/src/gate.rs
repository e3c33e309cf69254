//! The gate: every check of this repository, in the order in which failures are cheapest to find.

use std::{env, path::Path, process::Command};

use anyhow::Context;

use crate::{api_fuzz, deny, page, peers, program, step::Steps, tidy};

/// Runs all of it.
///
/// # Errors
/// The first step that fails.
pub(crate) fn run(root: &Path, require_peers: bool) -> anyhow::Result<()> {
    let mut steps = Steps::new();
    let result = all(root, require_peers, &mut steps);
    steps.report();
    result
}

fn all(root: &Path, require_peers: bool, steps: &mut Steps) -> anyhow::Result<()> {
    let cargo = |words: &[&str]| {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(root).args(words);
        command
    };
    steps.command("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    steps.inside("tidy", || tidy::run(root))?;
    // First of all builds: every later one embeds the page that this makes.
    let page = page::build(root, require_peers, steps)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    steps.command("clippy", &mut cargo(&clippy))?;
    steps.inside("databases", || peers::install_databases(root, require_peers).map(drop))?;
    let mut tests = cargo(&["test", "--no-fail-fast"]);
    if require_peers {
        tests.env("HEZAR_REQUIRE_PEERS", "1");
    }
    steps.tests("tests", tests.args(program::PACKAGES))?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    steps.command("docs", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    steps.inside("deny", || deny::run(root, require_peers))?;
    if page {
        page::browse(root, require_peers, steps)?;
    }
    steps.inside("api", || api_fuzz::run(root, require_peers))?;
    let mut folder = None;
    steps.inside("peers", || {
        folder = Some(peers::install(root, require_peers)?);
        Ok(())
    })?;
    let folder = folder.context("no folder of peers")?;
    if page {
        page::zashboard(root, &folder, require_peers, steps)?;
    }
    let mut interop = cargo(&["test", "--package", "hezar-interop", "--", "--nocapture", "--test-threads=2"]);
    interop.env("HEZAR_PEERS", folder);
    if require_peers {
        interop.env("HEZAR_REQUIRE_PEERS", "1");
    }
    steps.tests("interop", &mut interop)
}
