//! `hezar store`: the store as a whole, copied or described.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::Context;
use hezar_core::{Secret, settings::Given, settings::SettingValue};
use hezar_store::{Access, CopyCounts, CopyReport, StorePlace, StoreSettings, StoreUrl};
use serde::Serialize;

use crate::{
    cli::{CopyStoreArgs, JsonArgs, StoreCommand},
    config::Config,
    output,
};

/// The word for the store of the configuration.
const CONFIGURED: &str = "configured";

/// What `hezar store copy --json` prints.
#[derive(Debug, Serialize)]
struct CopyLine {
    rows: std::collections::BTreeMap<&'static str, u64>,
    /// The same for what was read and for what can be read back.
    digest: String,
    /// Nodes that could not be understood and were left behind.
    strange: u64,
    /// Where the file that was at the target is kept.
    kept: Option<String>,
}

/// What `hezar store info --json` prints.
#[derive(Debug, Serialize)]
struct InfoLine {
    database: String,
    place: String,
    schema: i64,
    bytes: u64,
    tables: Vec<TableLine>,
}

#[derive(Debug, Serialize)]
struct TableLine {
    name: String,
    rows: u64,
    bytes: Option<u64>,
}

pub(super) async fn store(config: Config, command: StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Copy(args) => copy(config, args).await,
        StoreCommand::Info(args) => info(config, args).await,
    }
}

async fn copy(config: Config, args: CopyStoreArgs) -> anyhow::Result<ExitCode> {
    let from = place(&config, &args.from).context("FROM")?;
    let to = place(&config, &args.to).context("TO")?;
    let bar = output::progress(0, "copying", args.output.json);
    let progress = |counts: CopyCounts| {
        let rows: u64 = counts.named().iter().map(|(_, number)| number).sum();
        bar.set_length(rows);
        bar.set_position(rows);
    };
    let copied = hezar_store::copy_store(&from, &to, args.replace, &progress).await;
    bar.finish_and_clear();
    let report = copied.context("nothing was copied")?;
    if args.output.json {
        output::json(&line(report))?;
    } else {
        tell(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The store that an argument names; a relative file lies in the current folder.
fn place(config: &Config, text: &Secret) -> anyhow::Result<StorePlace> {
    if text.expose() == CONFIGURED {
        return Ok(StorePlace { settings: config.store.clone(), directory: config.data.clone() });
    }
    let url = StoreUrl::parse(&Given::Text(text.expose().to_owned()), &());
    let url = url.context("write sqlite:FILE, postgres://USER@HOST/DATABASE or configured")?;
    let directory: PathBuf = env::current_dir().context("there is no current folder")?;
    Ok(StorePlace { settings: StoreSettings { url, memory: false, ..config.store.clone() }, directory })
}

fn line(report: CopyReport) -> CopyLine {
    CopyLine {
        rows: report.counts.named().into_iter().collect(),
        digest: report.digest,
        strange: report.strange,
        kept: report.kept.map(|kept| kept.display().to_string()),
    }
}

fn tell(report: &CopyReport) -> anyhow::Result<()> {
    let mut table = output::table(["what", "rows"]);
    for (name, number) in report.counts.named() {
        table.add_row([name, &number.to_string()]);
    }
    output::line(table.to_string())?;
    output::line(format!("read back and compared: digest {}", report.digest))?;
    if report.strange > 0 {
        output::note(format!("left behind: {} nodes that cannot be understood", report.strange));
    }
    if let Some(kept) = &report.kept {
        output::note(format!("the file that was there is kept as {}", kept.display()));
    }
    Ok(())
}

async fn info(config: Config, args: JsonArgs) -> anyhow::Result<ExitCode> {
    let store = hezar_store::open_configured(&config.store, &config.data, Access::ReadOnly).await?;
    let described = store.describe().await;
    store.close().await;
    let about = described?;
    if args.json {
        let table = |table: hezar_store::TableDescription| TableLine {
            name: table.name.into(),
            rows: table.rows,
            bytes: table.bytes,
        };
        output::json(&InfoLine {
            database: about.database.into(),
            place: about.place.into(),
            schema: about.schema,
            bytes: about.bytes,
            tables: about.tables.into_iter().map(table).collect(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format!(
        "{} at {}, schema {}, {}",
        about.database,
        about.place,
        about.schema,
        output::bytes(about.bytes)
    ))?;
    let mut table = output::table(["table", "rows", "size"]);
    for row in about.tables {
        table.add_row([row.name.into(), row.rows.to_string(), row.bytes.map(output::bytes).unwrap_or_default()]);
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}
