//! The commands that ask the running instance: `nodes`, `add`, `remove`, `status`.

use std::{io::Read, process::ExitCode};

use anyhow::Context;
use hezar_api::{
    AddReport, BanDto, LiftReport, LiftRequest, NodesPage, NodesQuery, RemoveReport, RemoveRequest, Saved, StatusDto,
};
use url::form_urlencoded;

use crate::{
    cli::{AddArgs, BansArgs, JsonArgs, NodesArgs, RemoveArgs},
    output,
    remote::Remote,
    store_status,
};

pub(super) async fn nodes(remote: Remote, args: NodesArgs) -> anyhow::Result<ExitCode> {
    let mut query = NodesQuery {
        state: args.state,
        scheme: args.scheme,
        source: args.source,
        country: args.country,
        search: args.search,
        ..NodesQuery::default()
    };
    let (mut total, mut nodes) = (0, Vec::new());
    while nodes.len() < args.limit {
        let most = (args.limit - nodes.len()).min(NodesQuery::MAX_LIMIT);
        query.offset = Some(args.offset + nodes.len());
        query.limit = Some(most);
        let page: NodesPage = remote.get(&format!("/api/v1/nodes?{}", encode(&query)?)).await?;
        total = page.total;
        let last = page.nodes.len() < most;
        nodes.extend(page.nodes);
        // A page that is asked for behind the last one may hold nodes that came to fit since, or the same ones again.
        if last {
            break;
        }
    }
    if args.output.json {
        nodes.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(["id", "state", "scheme", "server", "latency", "country", "fails", "error", "name"]);
    for node in &nodes {
        table.add_row([
            node.id.clone(),
            node.state.clone(),
            node.scheme.clone(),
            if node.server.contains(':') {
                format!("[{}]:{}", node.server, node.port)
            } else {
                format!("{}:{}", node.server, node.port)
            },
            node.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
            node.country.clone().unwrap_or_default(),
            node.failures.to_string(),
            node.unsupported
                .as_ref()
                .or(node.quarantine.as_ref())
                .or(node.last_error.as_ref())
                .cloned()
                .unwrap_or_default(),
            node.name.clone(),
        ]);
    }
    output::line(table.to_string())?;
    output::line(format!("{} of {total} nodes", nodes.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// The query string of the filters that are set.
fn encode(query: &NodesQuery) -> anyhow::Result<String> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.append_pair(&name, &value);
        }
    }
    Ok(text.finish())
}

pub(super) async fn add(remote: Remote, args: AddArgs) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for link in &args.links {
        if link == "-" {
            std::io::stdin().take(32 << 20).read_to_string(&mut text).context("cannot read standard input")?;
        } else {
            text.push_str(link);
        }
        text.push('\n');
    }
    let report: Saved<AddReport> =
        remote.post(&format!("/api/v1/nodes?allow_private={}", args.allow_private), text).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        let Saved { done: report, stored } = &report;
        for reject in &report.rejects {
            output::line(format!("line {}: refused ({}): {}", reject.line, reject.reject, reject.excerpt))?;
            reject.hint.iter().try_for_each(|hint| output::line(format!("  {}", hint.replace('\n', "\n  "))))?;
        }
        output::line(format!(
            "{} added, {} already known, {} refused",
            report.added,
            report.known,
            report.rejects.len()
        ))?;
        say_if_behind(*stored);
    }
    Ok(if report.done.ids.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) async fn remove(remote: Remote, args: RemoveArgs) -> anyhow::Result<ExitCode> {
    let request = serde_json::to_string(&RemoveRequest { ids: args.ids, ban: args.ban })?;
    let report: Saved<RemoveReport> = remote.delete("/api/v1/nodes", request).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        let RemoveReport { removed, missing, banned } = report.done;
        let banned = if args.ban { format!(", {banned} banned") } else { String::new() };
        output::line(format!("{removed} removed, {missing} not found{banned}"))?;
        say_if_behind(report.stored);
    }
    Ok(if report.done.removed + report.done.banned == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) async fn bans(remote: Remote, args: BansArgs) -> anyhow::Result<ExitCode> {
    if args.lift.is_empty() {
        let bans: Vec<BanDto> = remote.get("/api/v1/bans").await?;
        if args.output.json {
            bans.iter().try_for_each(output::json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let mut table = output::table(["id", "banned", "name"]);
        for ban in &bans {
            table.add_row([ban.id.clone(), output::ago(now, Some(ban.since)), ban.name.clone()]);
        }
        output::line(table.to_string())?;
        output::line(format!("{} banned", bans.len()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let request = serde_json::to_string(&LiftRequest { ids: args.lift })?;
    let report: Saved<LiftReport> = remote.delete("/api/v1/bans", request).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        output::line(format!("{} lifted, {} not found", report.done.lifted, report.done.missing))?;
        say_if_behind(report.stored);
    }
    Ok(if report.done.lifted == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the instance accepted and could not write yet.
fn say_if_behind(stored: bool) {
    if !stored {
        output::note("accepted, and not in the store yet: it cannot be written now (`hezar status` says why)");
    }
}

pub(super) async fn status(remote: Remote, args: JsonArgs) -> anyhow::Result<ExitCode> {
    let status: StatusDto = remote.get("/api/v1/status").await?;
    if args.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let nodes = status.nodes;
    output::line(format!("hezar {} on {}, up {} s", status.version, status.proxy, status.uptime_s))?;
    if let Some(reason) = &status.reason {
        output::line(format!("no request can be served: {reason}"))?;
    }
    output::line(format!(
        "nodes: {} healthy, {} suspect, {} new, {} dead, {} unsupported, {} in quarantine; {} exits",
        nodes.healthy, nodes.suspect, nodes.new, nodes.dead, nodes.unsupported, nodes.quarantined, status.exits
    ))?;
    store_status::troubles(&status.store).into_iter().try_for_each(output::line)?;
    let now = output::now_ms();
    let mut table = output::table([
        "source",
        "kind",
        "nodes",
        "healthy",
        "exits",
        "of its own",
        "half-life",
        "refused lines",
        "last good fetch",
        "error",
    ]);
    for source in &status.sources {
        table.add_row([
            source.name.clone(),
            source.kind.clone(),
            source.nodes.to_string(),
            source.healthy.to_string(),
            source.exits.to_string(),
            source.unique_exits.to_string(),
            source.half_life_s.map(output::span).unwrap_or_default(),
            source.rejected.to_string(),
            output::ago(now, source.last_ok),
            match &source.error_text {
                Some(text) => text.clone(),
                None if source.quarantined => "nothing in it works: fetched rarely".to_owned(),
                None => String::new(),
            },
        ]);
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}
