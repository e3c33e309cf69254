//! The web page's part of the gate: types, unit tests, build and size with npm; then the page in Chromium.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{peers, program, step::Steps};

/// The oldest Node that the build tools run on.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Checks and builds the page; what is built is embedded by every debug build from then on. False where that is skipped.
///
/// # Errors
/// What fails, and a Node that is missing when it is required.
pub(crate) fn build(root: &Path, require: bool, steps: &mut Steps) -> anyhow::Result<bool> {
    if let Err(error) = check_node() {
        ensure!(!require, "the page is required: {error:#}");
        println!("page: SKIPPED, {error:#}");
        return Ok(false);
    }
    let web = root.join("web");
    let npm = |words: &[&str]| {
        let mut command = Command::new("npm");
        command.current_dir(&web).args(words);
        command
    };
    steps.command("page: npm ci", &mut npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    steps.inside("page: API types", || check_types(root, &web))?;
    for (name, script) in
        [("page: type check", "check"), ("page: unit tests", "test"), ("page: build", "build"), ("page: size", "size")]
    {
        steps.command(name, &mut npm(&["run", "--silent", script]))?;
    }
    Ok(true)
}

/// The page in Debian's Chromium, against the demonstration world of the program that has just been built.
///
/// # Errors
/// What fails, and a browser that is missing when it is required.
pub(crate) fn browse(root: &Path, require: bool, steps: &mut Steps) -> anyhow::Result<()> {
    // The fonts are for Persian, which a bare system cannot write.
    if let Err(error) = peers::debian("chromium fonts-noto-core", "chromium") {
        ensure!(!require, "Chromium is required: {error:#}");
        println!("page in Chromium: SKIPPED, {error:#}");
        return Ok(());
    }
    let mut program = PathBuf::new();
    steps.inside("page: program", || {
        program = program::build(root)?;
        Ok(())
    })?;
    steps.inside("page: OpenAPI document", || check_document(root, &program))?;
    let shots = screenshots(root);
    let mut run = Command::new("node");
    run.current_dir(root.join("web")).arg("e2e/run.mjs").arg(&program).arg(&shots);
    steps.tests("page in Chromium", &mut run)?;
    println!("screenshots: {}", shots.display());
    Ok(())
}

/// Fails where the copy of the OpenAPI document, which the page's types are made from, is not what the program says.
fn check_document(root: &Path, program: &Path) -> anyhow::Result<()> {
    let output = Command::new(program).args(["api", "schema"]).output().context("the program cannot be started")?;
    ensure!(output.status.success(), "`hezar api schema`: {}", String::from_utf8_lossy(&output.stderr));
    let kept = fs::read(root.join("web/openapi.json"))?;
    let help = "run `cargo run -- api schema > web/openapi.json`, and `npm run types` in web/";
    ensure!(kept.trim_ascii() == output.stdout.trim_ascii(), "web/openapi.json is not what the program says: {help}");
    Ok(())
}

/// zashboard, as it is published and unchanged, in Debian's Chromium over the program's Clash API; `folder` is that of the peers.
///
/// # Errors
/// What fails, and a browser or a zashboard that is missing when it is required.
pub(crate) fn zashboard(root: &Path, folder: &Path, require: bool, steps: &mut Steps) -> anyhow::Result<()> {
    let browser = peers::debian("chromium fonts-noto-core", "chromium");
    let zip = match browser.and_then(|_| peers::program(root, folder, "zashboard")) {
        Ok(zip) => zip,
        Err(error) => {
            ensure!(!require, "zashboard is required: {error:#}");
            println!("zashboard in Chromium: SKIPPED, {error:#}");
            return Ok(());
        }
    };
    let mut run = Command::new("node");
    run.current_dir(root.join("web")).arg("e2e/zashboard.mjs").arg(program::build(root)?);
    steps.tests("zashboard in Chromium", run.arg(zip).arg(screenshots(root)))
}

/// The folder of the browser tests' screenshots.
fn screenshots(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("page-screenshots")
}

/// Fails where the checked-in types are not those of the copy of the OpenAPI document.
fn check_types(root: &Path, web: &Path) -> anyhow::Result<()> {
    let kept = web.join("src/api/schema.ts");
    let folder = tempfile::tempdir()?;
    let made = folder.path().join("schema.ts");
    let mut types = Command::new("npx");
    types.current_dir(web).args(["--no-install", "openapi-typescript", "openapi.json", "--output"]).arg(&made);
    let output = types.output().context("npx cannot be started")?;
    ensure!(output.status.success(), "openapi-typescript: {}", String::from_utf8_lossy(&output.stderr));
    let same = fs::read(&kept).ok() == fs::read(&made).ok();
    let shown = kept.strip_prefix(root).unwrap_or(&kept).display();
    ensure!(same, "{shown} is not what openapi.json says: run `npm run types` in web/");
    Ok(())
}

fn check_node() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().context("Node.js is not installed")?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.trim_start_matches('v').split('.').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    ensure!(found >= OLDEST_NODE, "Node.js {text} is older than {}.{}", OLDEST_NODE.0, OLDEST_NODE.1);
    Ok(())
}
