//! `hezar fetch`: every source once, into the store.

use std::process::ExitCode;

use hezar_core::Timestamp;
use serde_json::json;

use crate::{
    cli::FetchArgs,
    collect::{Collector, Reading},
    config::Config,
    instance::{Base, Disk},
    logs, output,
};

pub(super) async fn fetch(config: Config, args: FetchArgs) -> anyhow::Result<ExitCode> {
    let _log = logs::quiet(&config.log)?;
    let mut base = Base::open(config).await?;
    let disk = Disk::start(&mut base);
    let collector = Collector::new(&mut base, &disk).await?;
    let asked = if args.sources.is_empty() { base.config.sources.len() } else { args.sources.len() };
    if asked == 0 {
        output::note("no sources: `hezar init` writes a configuration with some, or add [[source]] tables");
    }
    let bar = output::progress(asked as u64, "fetching", args.output.json);
    let read = collector
        .once(&args.sources, |reading| {
            bar.set_message(reading.row.name.to_string());
            bar.inc(1);
        })
        .await;
    bar.finish_and_clear();
    disk.handover.all().await?;
    disk.finish(&*base.store).await?;
    let readings = read?;
    if args.output.json {
        readings.iter().try_for_each(|reading| output::json(&value(reading)))?;
    } else {
        table(&readings, base.clock.now())?;
        output::line(format!("{} nodes in the store", base.pool.snapshot().counts().total()))?;
    }
    let all_failed = !readings.is_empty() && readings.iter().all(|reading| reading.row.error.is_some());
    Ok(if all_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn value(reading: &Reading) -> serde_json::Value {
    json!({
        "source": &*reading.row.name,
        "nodes": reading.row.nodes,
        "added": reading.added,
        "refused": reading.row.rejects,
        "unchanged": reading.unchanged,
        "error": reading.row.error.as_ref().map(|error| &*error.code),
        "message": reading.row.error.as_ref().map(|error| &*error.text),
    })
}

fn table(readings: &[Reading], now: Timestamp) -> anyhow::Result<()> {
    let mut table = output::table(["source", "nodes", "new", "refused lines", "last good fetch", "result"]);
    for reading in readings {
        let row = &reading.row;
        table.add_row([
            row.name.to_string(),
            row.nodes.to_string(),
            reading.added.to_string(),
            row.rejects.to_string(),
            output::ago(now.0, row.last_ok.map(|at| at.0)),
            match &row.error {
                Some(error) => format!("{}: {}", error.code, error.text),
                None if reading.unchanged => "not modified".to_owned(),
                None => "ok".to_owned(),
            },
        ]);
    }
    output::line(table.to_string())?;
    Ok(())
}
