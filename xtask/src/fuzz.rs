//! Fuzzing with libFuzzer on the stable toolchain: the coverage that cargo-fuzz would ask a nightly compiler for.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, ensure};

/// What libFuzzer needs to see which code an input reaches.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Ccodegen-units=1",
];

/// Inputs longer than this show nothing new and slow the search down.
const MAX_LENGTH: u32 = 16 * 1024;
/// One input that takes longer, in seconds, is a finding: no decoder may be slow.
const MAX_SECONDS: u32 = 10;

/// Fuzzes each decoder for some seconds.
///
/// # Errors
/// A finding: its input lies in `fuzz-findings/` of the target folder.
pub(crate) fn run(root: &Path, decoders: Vec<String>, seconds: u32) -> anyhow::Result<()> {
    let decoders = if decoders.is_empty() { all(root)? } else { decoders };
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into).join("fuzz");
    let host = host()?;
    build(root, &folder, &host)?;
    let program = folder.join(&host).join("release/decoder");
    for decoder in &decoders {
        let (found, grown) = (folder.join("fuzz-findings"), folder.join("fuzz-corpus").join(decoder));
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&grown)?;
        println!("== fuzz {decoder}: {seconds} s");
        let status = Command::new(&program)
            .env("HEZAR_FUZZ_DECODER", decoder)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_LENGTH}"))
            .arg(format!("-timeout={MAX_SECONDS}"))
            .arg(format!("-artifact_prefix={}/{decoder}-", found.display()))
            .arg("-print_final_stats=1")
            .args(["-verbosity=0", "-print_funcs=0"])
            .args([&grown, &root.join("fuzz/corpus").join(decoder)])
            .status()?;
        ensure!(status.success(), "{decoder}: a finding, see {}", found.display());
    }
    println!("{} passed, 0 failed", decoders.len());
    Ok(())
}

fn build(root: &Path, folder: &Path, host: &str) -> anyhow::Result<()> {
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root).args(["build", "--release", "--package", "hezar-fuzz", "--features", "libfuzzer"]);
    // A target of its own keeps the coverage out of build scripts and macros, where nothing would link it.
    build.args(["--bin", "decoder", "--target", host]).arg("--target-dir").arg(folder);
    build.env("RUSTFLAGS", COVERAGE.join(" "));
    build.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    build.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    let status = build.status().context("cannot start cargo")?;
    ensure!(status.success(), "the fuzz target does not build");
    Ok(())
}

/// Every decoder has a folder of inputs worth keeping.
fn all(root: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(root.join("fuzz/corpus")).context("fuzz/corpus")?;
    let mut decoders: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    decoders.sort();
    Ok(decoders)
}

/// The triple of this machine.
///
/// # Errors
/// When there is no rustc.
pub(crate) fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name its host")
}
