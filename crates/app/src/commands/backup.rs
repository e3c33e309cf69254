//! `hezar backup` and `hezar restore`: a copy of the store, and the store from a copy.

use std::process::ExitCode;

use anyhow::Context;
use hezar_core::Timestamp;
use hezar_store::{Access, BackupFolder, DatabaseSummary, RestoreReport};
use serde::Serialize;

use crate::{
    base::create_data_folder,
    cli::{BackupArgs, RestoreArgs},
    config::Config,
    output,
};

/// What `hezar backup --json` prints.
#[derive(Debug, Serialize)]
struct BackupLine {
    file: String,
    bytes: u64,
}

/// What `hezar restore --json` prints.
#[derive(Debug, Serialize)]
struct RestoreLine {
    file: String,
    restored: bool,
    nodes: u64,
    routable: u64,
    sources: u64,
    users: u64,
    /// When something was measured last, in milliseconds since the Unix epoch.
    last_change: Option<u64>,
    /// When the file was written, in milliseconds since the Unix epoch.
    written: Option<u64>,
    /// Where the store that was there is kept.
    kept: Option<String>,
}

pub(super) async fn backup(config: Config, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let folder = args.keep.map(|keep| BackupFolder::new(&args.file, keep.into()));
    let to = match &folder {
        Some(folder) => folder.next(Timestamp(output::now_ms()))?,
        None => args.file,
    };
    let store = hezar_store::open_configured(&config.store, &config.data, Access::ReadOnly).await?;
    let copied = store.backup(&to, args.force).await;
    store.close().await;
    copied?;
    // Older ones go when the new one is known to be good.
    folder.iter().for_each(BackupFolder::prune);
    let file = to.display().to_string();
    let bytes = std::fs::metadata(&to).map_or(0, |about| about.len());
    if args.output.json {
        output::json(&BackupLine { file, bytes })?;
    } else {
        output::line(format!("wrote {file} ({}); it holds passwords: only you can read it", output::bytes(bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(config: Config, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    create_data_folder(&config.data)?;
    let report = if args.check {
        hezar_store::check_backup(&config.data, &args.file).await
    } else {
        hezar_store::restore(&config.store, &config.data, &args.file).await
    };
    let report = report.context("nothing was restored")?;
    if args.output.json {
        output::json(&line(&report, &args))?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = args.file.display();
    output::line(format!("{file} holds {}", contents(&report, output::now_ms())))?;
    if args.check {
        output::line("it can be restored; nothing was changed")?;
        return Ok(ExitCode::SUCCESS);
    }
    match &report.kept {
        Some(kept) => output::line(format!("restored; what was there is kept as {}", kept.display()))?,
        None => output::line("restored; there was no store before")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn line(report: &RestoreReport, args: &RestoreArgs) -> RestoreLine {
    let DatabaseSummary { nodes, routable, sources, users, last_change } = report.summary;
    RestoreLine {
        file: args.file.display().to_string(),
        restored: !args.check,
        nodes,
        routable,
        sources,
        users,
        last_change: last_change.map(|at| at.0),
        written: report.written.map(|at| at.0),
        kept: report.kept.as_ref().map(|kept| kept.display().to_string()),
    }
}

/// "12000 nodes (900 usable), 3 sources, 2 users; last used 3 h ago".
fn contents(report: &RestoreReport, now_ms: u64) -> String {
    let DatabaseSummary { nodes, routable, sources, users, last_change } = report.summary;
    let counted = |number: u64, what: &str| output::count(usize::try_from(number).unwrap_or(usize::MAX), what);
    let age = match last_change.or(report.written) {
        Some(at) => format!("; last used {} ago", output::ago(now_ms, Some(at.0))),
        None => String::new(),
    };
    format!(
        "{} ({routable} usable), {}, {}{age}",
        counted(nodes, "node"),
        counted(sources, "source"),
        counted(users, "user")
    )
}
