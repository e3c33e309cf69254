//! `hezar probe`: every stored node once, or nodes that the running instance probes now.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc, time::Duration};

use anyhow::bail;
use hezar_api::{ProbeReport, ProbeRequest};
use hezar_core::Code;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    base::Base,
    cli::ProbeArgs,
    config::{Config, ConfigReader},
    cores::CoresTask,
    instance::StoreTask,
    logs, output,
    remote::Remote,
    runtime::prober::ProberSlot,
    signals::EndSignals,
};

/// How long the running instance may take.
const LONGEST: Duration = Duration::from_secs(600);

pub(super) async fn probe(config: Config, reader: ConfigReader, args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let chosen = [&args.state, &args.scheme, &args.source, &args.country].iter().any(|choice| choice.is_some());
    if chosen || !args.ids.is_empty() {
        bail!("only a running instance probes a choice of nodes: start `hezar run`, or leave the choice out");
    }
    let _log = logs::quiet(&config.log)?;
    let mut end_signals = EndSignals::listen();
    let mut base = Base::open(config, &reader).await?;
    let cores_task = CoresTask::start(Arc::clone(&base.cores));
    let store_task = StoreTask::start(&mut base);
    let prober = ProberSlot::alone(&mut base)?.get();
    let total = base.pool.snapshot().counts().total();
    if total == 0 {
        output::note("no nodes in the store: run `hezar fetch` first");
    }
    let bar = output::progress(total as u64, "probing", args.output.json);
    let cancel = CancellationToken::new();
    let sweep = prober.sweep(&cancel, |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} work", progress.ok));
    });
    tokio::pin!(sweep);
    let progress = tokio::select! {
        progress = sweep.as_mut() => progress,
        // What was found so far is kept.
        () = end_signals.received() => {
            cancel.cancel();
            sweep.await
        }
    };
    bar.finish_and_clear();
    cores_task.end().await;
    if args.output.json {
        print_json(&base)?;
    } else {
        print_table(&base)?;
        output::line(format!(
            "{} of {} checked: {} work, {} do not, {} cannot be dialled",
            progress.done,
            output::count(progress.total, "node"),
            progress.ok,
            progress.failed,
            progress.unsupported
        ))?;
    }
    store_task.node_sync.all().await?;
    store_task.finish(&*base.store).await?;
    Ok(if total > 0 && progress.ok == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks the running instance, which has the store, to do it.
pub(super) async fn probe_remotely(remote: Remote, args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let ProbeArgs { ids, state, scheme, source, country, output } = args;
    let wait = Some(LONGEST.as_secs());
    let request = ProbeRequest { ids, state, scheme, source, country, wait, ..ProbeRequest::default() };
    let body = serde_json::to_string(&request)?;
    let report: ProbeReport = remote.post_for("/api/v1/probe", body, LONGEST).await?;
    if output.json {
        report.nodes.iter().try_for_each(output::json)?;
    } else if report.asked == 0 {
        output::line("no node fits, so none was checked")?;
    } else {
        let mut causes: BTreeMap<String, usize> = BTreeMap::new();
        for node in &report.nodes {
            if let Some(code) = &node.error {
                let stage = node.stage.as_ref().map(|stage| format!(" ({stage})")).unwrap_or_default();
                *causes.entry(format!("{code}{stage}")).or_default() += 1;
            }
        }
        print_causes(causes)?;
        let (asked, done) = (report.asked, report.works + report.failed);
        output::line(format!(
            "{done} of {} checked: {} work, {} do not",
            output::count(asked, "node"),
            report.works,
            report.failed
        ))?;
    }
    if report.pending > 0 {
        output::note(format!("still going on: {}", output::count(report.pending, "probe")));
    }
    Ok(if report.asked > 0 && report.works == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print_json(base: &Base) -> anyhow::Result<()> {
    for node in base.pool.snapshot().nodes() {
        let record = node.record();
        output::json(&json!({
            "id": node.id().to_string(),
            "name": node.label().as_str(),
            "scheme": node.spec().scheme(),
            "server": node.spec().server.to_string(),
            "state": record.state.name(),
            "latency_ms": record.latency.map(|latency| latency.as_millis()),
            "exit_ip": record.exit_ip,
            "country": record.country.map(|code| String::from_utf8_lossy(&code).into_owned()),
            "error": record.unsupported.or(record.failure.map(|failure| failure.code)).map(Code::as_str),
            "stage": record.failure.map(|failure| failure.stage.name()),
        }))?;
    }
    Ok(())
}

/// The most working nodes that are listed.
const MOST_LISTED: usize = 20;

/// The fastest nodes that work, what works per scheme, and what stopped the rest.
fn print_table(base: &Base) -> anyhow::Result<()> {
    let snapshot = base.pool.snapshot();
    let mut working: Vec<_> = snapshot.nodes().filter(|node| node.routable()).collect();
    working.sort_by_key(|node| node.record().latency);
    if !working.is_empty() {
        let mut table = output::list(["id", "scheme", "latency", "cc", "server", "name"], 4);
        for node in working.iter().take(MOST_LISTED) {
            let record = node.record();
            output::add_line(
                &mut table,
                [
                    node.id().to_string().chars().take(8).collect(),
                    node.spec().scheme().to_owned(),
                    record.latency.map(|latency| format!("{} ms", latency.as_millis())).unwrap_or_default(),
                    record.country.map(|code| String::from_utf8_lossy(&code).into_owned()).unwrap_or_default(),
                    node.spec().server.to_string(),
                    node.label().as_str().to_owned(),
                ],
            );
        }
        output::line(table.to_string())?;
        if working.len() > MOST_LISTED {
            output::line(format!("… and {} more that work (--json lists all)", working.len() - MOST_LISTED))?;
        }
        output::line("")?;
    }
    let mut schemes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for node in base.pool.snapshot().nodes() {
        let entry = schemes.entry(node.spec().scheme()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(node.routable());
        let record = node.record();
        if let Some(code) = record.unsupported {
            *causes.entry(code.to_string()).or_default() += 1;
        } else if let Some(failure) = record.failure {
            *causes.entry(format!("{} ({})", failure.code, failure.stage)).or_default() += 1;
        }
    }
    let mut table = output::table(["scheme", "nodes", "work"]);
    for (scheme, (nodes, work)) in schemes {
        table.add_row([scheme.to_owned(), nodes.to_string(), work.to_string()]);
    }
    output::line(table.to_string())?;
    print_causes(causes)
}

/// What stopped nodes, the most frequent cause in front.
fn print_causes(causes: BTreeMap<String, usize>) -> anyhow::Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    let mut table = output::table(["cause", "nodes"]);
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
    for (cause, nodes) in causes {
        table.add_row([cause, nodes.to_string()]);
    }
    output::line(table.to_string())?;
    Ok(())
}
