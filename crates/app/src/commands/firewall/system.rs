//! The packet filter of this machine: its rules are read, checked, loaded and taken away with the tools of the system.

use std::{
    io::{ErrorKind, Write},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::firewall::{CHAIN, FirewallFormat, removal};

/// The tools of iptables, one for each family.
const IPTABLES: [&str; 2] = ["iptables", "ip6tables"];

/// The rules of ours that were in force, to bring them back.
#[derive(Debug)]
pub(super) enum Before {
    /// What `nft -f` loads; empty when there was no table.
    Nft(String),
    /// What each of [`IPTABLES`] restores; `None` where it had no chain of ours.
    Iptables([Option<String>; 2]),
}

/// The name of a packet filter.
pub(super) const fn name(format: FirewallFormat) -> &'static str {
    match format {
        FirewallFormat::Nft => "nftables",
        FirewallFormat::Iptables => "iptables",
    }
}

/// The rules of ours that are in force.
///
/// # Errors
/// The tools are not installed.
pub(super) fn current(format: FirewallFormat) -> anyhow::Result<Before> {
    match format {
        FirewallFormat::Nft => {
            // Terse and stateless: without the addresses that the sets hold now.
            let listed = run("nft", &["--terse", "--stateless", "list", "table", "inet", "hezar"], "")?;
            let table = if listed.status.success() {
                String::from_utf8_lossy(&listed.stdout).into_owned()
            } else {
                String::new()
            };
            Ok(Before::Nft(table))
        }
        FirewallFormat::Iptables => {
            let [v4, v6] = IPTABLES.map(saved);
            Ok(Before::Iptables([v4?, v6?]))
        }
    }
}

/// The chains of ours as iptables-save writes them.
fn saved(tool: &str) -> anyhow::Result<Option<String>> {
    let saved = run(&format!("{tool}-save"), &["-t", "filter"], "")?;
    let text = String::from_utf8_lossy(&saved.stdout);
    let is_ours = |line: &&str| line.starts_with(":HEZAR-") || line.starts_with("-A HEZAR-");
    let lines: Vec<&str> = text.lines().filter(is_ours).collect();
    Ok((!lines.is_empty()).then(|| format!("*filter\n{}\nCOMMIT\n", lines.join("\n"))))
}

/// Loads the rules, all or nothing in each family; nft checks them before.
///
/// # Errors
/// What the tools say; then nothing has changed.
pub(super) fn load(format: FirewallFormat, rules: &str) -> anyhow::Result<()> {
    match format {
        FirewallFormat::Nft => {
            must("nft", &["--check", "--file", "-"], rules)?;
            must("nft", &["--file", "-"], rules)
        }
        FirewallFormat::Iptables => must("sh", &["-s"], rules),
    }
}

/// Brings back what was there before.
///
/// # Errors
/// What the tools say.
pub(super) fn restore(before: &Before) -> anyhow::Result<()> {
    match before {
        Before::Nft(table) => must("nft", &["--file", "-"], &format!("{}{table}", removal(FirewallFormat::Nft))),
        Before::Iptables(chains) => {
            remove(FirewallFormat::Iptables)?;
            for (tool, chains) in IPTABLES.into_iter().zip(chains) {
                if let Some(chains) = chains {
                    must(&format!("{tool}-restore"), &["--noflush"], chains)?;
                    must(tool, &["--insert", "INPUT", "1", "--jump", CHAIN], "")?;
                }
            }
            Ok(())
        }
    }
}

/// Takes the rules away. False when the packet filter is not installed.
///
/// # Errors
/// What the tools say.
pub(super) fn remove(format: FirewallFormat) -> anyhow::Result<bool> {
    let (tool, program, arguments): (_, _, &[&str]) = match format {
        FirewallFormat::Nft => ("nft", "nft", &["--file", "-"]),
        FirewallFormat::Iptables => ("iptables", "sh", &["-s"]),
    };
    if run(tool, &["--version"], "").is_err() {
        return Ok(false);
    }
    must(program, arguments, removal(format)).map(|()| true)
}

fn must(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let output = run(program, arguments, input)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} refused the rules: {}", said.trim());
    Ok(())
}

/// Runs a tool of the system to its end.
fn run(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    // The tools are in folders of the system's administrator, which a user's PATH may not have.
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(arguments).env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{program} is not installed"),
        spawned => spawned.with_context(|| format!("cannot run {program}"))?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends before it has read everything says why in its own words.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().with_context(|| format!("cannot run {program}"))
}
