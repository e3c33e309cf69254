//! `hezar probe`: every stored node once.

use std::{collections::BTreeMap, process::ExitCode};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::ProbeArgs,
    config::Config,
    instance::{Base, Disk, end_signal, prober},
    logs, output,
};

pub(super) async fn probe(config: Config, args: ProbeArgs) -> anyhow::Result<ExitCode> {
    let _log = logs::quiet(&config.log)?;
    let mut base = Base::open(config).await?;
    let disk = Disk::start(&mut base);
    let prober = prober(&mut base)?;
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
        () = end_signal() => {
            cancel.cancel();
            sweep.await
        }
    };
    bar.finish_and_clear();
    if args.output.json {
        print_json(&base)?;
    } else {
        print_table(&base)?;
        output::line(format!(
            "{} of {} nodes checked: {} work, {} do not, {} cannot be dialled",
            progress.done, progress.total, progress.ok, progress.failed, progress.unsupported
        ))?;
    }
    disk.handover.all().await?;
    disk.finish(&*base.store).await?;
    Ok(if total > 0 && progress.ok == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
            "error": record.unsupported.or(record.failure.map(|failure| failure.code)),
            "stage": record.failure.map(|failure| failure.stage.name()),
        }))?;
    }
    Ok(())
}

/// What works per scheme, and what stopped the rest.
fn print_table(base: &Base) -> anyhow::Result<()> {
    let mut schemes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for node in base.pool.snapshot().nodes() {
        let entry = schemes.entry(node.spec().scheme()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(node.routable());
        let record = node.record();
        if let Some(code) = record.unsupported {
            *causes.entry(code.to_owned()).or_default() += 1;
        } else if let Some(failure) = record.failure {
            *causes.entry(format!("{} ({})", failure.code, failure.stage)).or_default() += 1;
        }
    }
    let mut table = output::table(["scheme", "nodes", "work"]);
    for (scheme, (nodes, work)) in schemes {
        table.add_row([scheme.to_owned(), nodes.to_string(), work.to_string()]);
    }
    output::line(table.to_string())?;
    let mut table = output::table(["cause", "nodes"]);
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
    for (cause, nodes) in causes {
        table.add_row([cause, nodes.to_string()]);
    }
    output::line(table.to_string())?;
    Ok(())
}
