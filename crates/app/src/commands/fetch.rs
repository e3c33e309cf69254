//! `hezar fetch`: every source once, into the store or by the running instance.

use std::{process::ExitCode, time::Duration};

use hezar_api::{FetchReport, FetchRequest, FetchedDto, PreviewReport};

use crate::{
    api::on_demand::fetched,
    base::Base,
    cli::FetchArgs,
    config::{Config, ConfigReader, ObjectKey, ObjectKind},
    instance::StoreTask,
    logs,
    objects::EditError,
    output,
    remote::Remote,
    sources::{Collector, Reading},
};

/// How long the running instance may take.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// Reads sources into the store of this configuration, which no instance uses.
pub(super) async fn fetch(config: Config, reader: ConfigReader, args: FetchArgs) -> anyhow::Result<ExitCode> {
    let (sources, nodes) = read_sources(config, &reader, &args.sources, args.output.json).await?;
    print(&sources, args.output.json)?;
    if !args.output.json {
        output::line(format!("{} in the store", output::count(nodes, "node")))?;
    }
    Ok(code(&sources))
}

/// What the named sources gave, or all when none is named, and how many nodes are in the store since.
pub(super) async fn read_sources(
    config: Config,
    reader: &ConfigReader,
    names: &[String],
    is_quiet: bool,
) -> anyhow::Result<(Vec<FetchedDto>, usize)> {
    let _log = logs::quiet(&config.log)?;
    let (base, store_task, collector) = open(config, reader).await?;
    let read = read_with_progress(&base, &collector, names, is_quiet).await;
    store_task.node_sync.write_all().await?;
    store_task.finish(&*base.store).await?;
    Ok((read?.iter().map(fetched).collect(), base.pool.snapshot().counts().total()))
}

/// Reads the named sources, or all when none is named, under a progress bar.
pub(super) async fn read_with_progress(
    base: &Base,
    collector: &Collector,
    names: &[String],
    is_quiet: bool,
) -> anyhow::Result<Vec<Reading>> {
    let asked = if names.is_empty() { base.config.sources.len() } else { names.len() };
    if asked == 0 {
        output::note("no sources: `hezar init` writes a configuration with some, or add [[source]] tables");
    }
    let bar = output::progress(asked as u64, "fetching", is_quiet);
    let read = collector
        .once(names, |reading| {
            bar.set_message(reading.row.name.to_string());
            bar.inc(1);
        })
        .await;
    bar.finish_and_clear();
    read
}

/// What a source would give. Nothing of it is stored.
pub(super) async fn preview(config: Config, reader: &ConfigReader, name: &str) -> anyhow::Result<PreviewReport> {
    let _log = logs::quiet(&config.log)?;
    let (base, store_task, collector) = open(config, reader).await?;
    let report = match base.config.sources.iter().find(|source| source.name == name) {
        Some(source) => collector.preview(source, &base.config).await.map_err(Into::into),
        None => Err(EditError::Missing(ObjectKey::new(ObjectKind::Source, name)).into()),
    };
    store_task.finish(&*base.store).await?;
    report
}

/// The store with its writer, and what reads sources.
pub(super) async fn open(config: Config, reader: &ConfigReader) -> anyhow::Result<(Base, StoreTask, Collector)> {
    let mut base = Base::open(config, reader).await?;
    let store_task = StoreTask::start(&mut base);
    let collector = Collector::new(&mut base, &store_task.node_sync, &store_task.writer).await?;
    Ok((base, store_task, collector))
}

/// Asks the running instance, which has the store, to do it.
pub(super) async fn fetch_remotely(remote: Remote, args: FetchArgs) -> anyhow::Result<ExitCode> {
    let request = FetchRequest { sources: args.sources, wait: Some(LONGEST.as_secs()) };
    let body = serde_json::to_string(&request)?;
    let report: FetchReport = remote.post_for("/api/v1/fetch", body, LONGEST).await?;
    print(&report.sources, args.output.json)?;
    if report.pending > 0 {
        output::note(format!("still to be read: {}", output::count(report.pending, "source")));
    }
    Ok(code(&report.sources))
}

pub(super) fn code(sources: &[FetchedDto]) -> ExitCode {
    let all_failed = !sources.is_empty() && sources.iter().all(|source| source.error.is_some());
    if all_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

pub(super) fn print(sources: &[FetchedDto], json: bool) -> anyhow::Result<()> {
    if json {
        return sources.iter().try_for_each(output::json);
    }
    table(sources)
}

fn table(sources: &[FetchedDto]) -> anyhow::Result<()> {
    let mut table = output::table(["source", "nodes", "new", "refused lines", "last good fetch", "result"]);
    for source in sources {
        table.add_row([
            source.source.clone(),
            source.nodes.to_string(),
            source.added.to_string(),
            source.refused.to_string(),
            output::ago(output::now_ms(), source.last_ok),
            match (&source.error, &source.message) {
                (Some(code), text) => format!("{code}: {}", text.as_deref().unwrap_or_default()),
                (None, _) if source.left_out > 0 => {
                    format!("{} left out: more than [pool] allows", output::count(source.left_out, "node"))
                }
                (None, _) if source.unchanged => "not modified".to_owned(),
                (None, _) => "ok".to_owned(),
            },
        ]);
    }
    output::line(table.to_string())?;
    Ok(())
}
