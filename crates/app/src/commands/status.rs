//! `hezar status`: whether the running instance works, what each source gives, and why not.

use std::process::ExitCode;

use comfy_table::Table;
use hezar_api::{CertificateDto, EngineDto, ListenerStatusDto, SourceDto, StatusDto, SubscriptionDto};

use crate::{cli::JsonArgs, output, remote::Remote, store_sync::status as store_status};

pub(super) async fn status(remote: Remote, args: JsonArgs) -> anyhow::Result<ExitCode> {
    let status: StatusDto = remote.get("/api/v1/status").await?;
    if args.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in summary(&status) {
        output::line(line)?;
    }
    if status.sources.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    output::line("")?;
    output::line(sources(output::table(HEADER), &status.sources, output::now_ms()).to_string())?;
    for source in &status.sources {
        if let Some(text) = source.subscription.as_ref().and_then(|said| subscription(said, output::now_ms())) {
            output::line(format!("{}: {text}", source.name))?;
        }
    }
    output::line("exits: addresses behind the healthy nodes (those that no other source gives)")?;
    output::line("refused: lines that give no node; `hezar parse` says why")?;
    Ok(ExitCode::SUCCESS)
}

/// What holds for the whole instance, a line each.
fn summary(status: &StatusDto) -> Vec<String> {
    let nodes = &status.nodes;
    let counts = [
        (nodes.healthy, "healthy"),
        (nodes.suspect, "suspect (failed lately, still used)"),
        (nodes.new, "new (not judged yet)"),
        (nodes.dead, "dead"),
        (nodes.unsupported, "unsupported"),
        (nodes.quarantined, "in quarantine (caught tampering)"),
        (nodes.disabled, "switched off"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let traffic = &status.traffic;
    let requests = traffic.ok + traffic.failed;
    let mut lines = vec![format!("hezar {} on {}, up {}", status.version, status.proxy, output::span(status.uptime_s))];
    lines.extend(status.listeners.iter().enumerate().filter_map(|(index, listener)| line(listener, index == 0)));
    lines.extend(status.engine.iter().flat_map(engine_lines));
    lines.extend(status.reason.as_ref().map(|reason| format!("no request can be served: {reason}")));
    lines.extend([
        format!("nodes: {counts}; {}", output::count(status.exits, "exit")),
        format!(
            "requests: {} served of {requests}, {} refused; {} up, {} down",
            traffic.ok,
            traffic.refused,
            output::bytes(traffic.up),
            output::bytes(traffic.down)
        ),
    ]);
    lines.extend(status.certificates.iter().map(|certificate| certificate_line(certificate, output::now_ms())));
    lines.extend(store_status::troubles(&status.store));
    lines.extend(status.alerts.iter().map(|alert| format!("alert {alert}")));
    lines.extend(status.draining.iter().map(|process| {
        let open = output::count(process.connections, "connection");
        format!(
            "process {} drains after an upgrade: {open} open there, for {}",
            process.pid,
            output::ago(output::now_ms(), Some(process.since))
        )
    }));
    lines
}

/// What Clash cores do that serve in the place of this program.
fn engine_lines(engine: &EngineDto) -> Vec<String> {
    let EngineDto { name, strategy, members, connections, up, down, cores } = engine;
    let nodes = output::count(usize::try_from(*members).unwrap_or(usize::MAX), "node");
    let (up, down) = (output::bytes(*up), output::bytes(*down));
    let first =
        format!("engine {name} ({strategy}): {nodes} in POOL; {connections} connections open; {up} up, {down} down");
    let cores = cores.iter().map(|core| {
        let reason = core.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let controller =
            core.controller.as_ref().map(|address| format!(", controller at {address}")).unwrap_or_default();
        let refused = if core.refused > 0 { format!(", {} refused nodes", core.refused) } else { String::new() };
        format!(
            "{} core: {}{reason}, started {} times, {}{refused}{controller}",
            core.name,
            core.state,
            core.starts,
            output::bytes(core.memory)
        )
    });
    std::iter::once(first).chain(cores).collect()
}

/// Where a listener listens; `None` for the first one without further ports, whose address is said already.
fn line(listener: &ListenerStatusDto, first: bool) -> Option<String> {
    let ListenerStatusDto { name, address, ports, tls } = listener;
    let tls = if *tls { " (TLS)" } else { "" };
    match ports {
        Some(ports) => Some(format!("listener {name}: {address}{tls}, and a session on each of the ports {ports}")),
        None if first => None,
        None => Some(format!("listener {name}: {address}{tls}")),
    }
}

/// Until when the certificate of a port is good, and what is wrong with it.
fn certificate_line(certificate: &CertificateDto, now_ms: u64) -> String {
    let CertificateDto { port, names, not_after, error, .. } = certificate;
    let state = match not_after {
        None => "there is none yet, so that no client can connect".to_owned(),
        Some(end) if *end <= now_ms => format!("has ended {}: clients refuse it", output::ago(now_ms, Some(*end))),
        Some(end) => format!("{}, good for {}", names.join(" "), output::span((end - now_ms) / 1000)),
    };
    let error = error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!("certificate of {port}: {state}{error}")
}

const HEADER: [&str; 7] = ["source", "nodes", "healthy", "exits", "refused", "read", "remark"];

fn sources(mut table: Table, sources: &[SourceDto], now_ms: u64) -> Table {
    for source in sources {
        table.add_row([
            source.name.clone(),
            source.nodes.to_string(),
            source.healthy.to_string(),
            format!("{} ({})", source.exits, source.unique_exits),
            source.rejected.to_string(),
            output::ago(now_ms, source.last_ok),
            remark(source, now_ms),
        ]);
    }
    table
}

/// Why a source gives nothing new and when it is read again, or how long its nodes live.
fn remark(source: &SourceDto, now_ms: u64) -> String {
    let next = source.next.map(|next| match next.saturating_sub(now_ms) / 1000 {
        0 => "now".to_owned(),
        seconds => format!("in {}", output::span(seconds)),
    });
    match (&source.error_text, next) {
        (Some(text), Some(next)) => format!("{text} (next try {next})"),
        (Some(text), None) => text.clone(),
        (None, Some(next)) if source.quarantined => format!("nothing in it works; read rarely, next {next}"),
        _ => {
            source.half_life_s.map(|half| format!("half of its nodes live {}", output::span(half))).unwrap_or_default()
        }
    }
}

/// What a provider says about a subscription: "Gold: 38.0 GiB left of 50.0 GiB, ends in 35 d".
fn subscription(said: &SubscriptionDto, now_ms: u64) -> Option<String> {
    let traffic = match (said.left, said.total, said.used) {
        (Some(left), Some(total), _) => Some(format!("{} left of {}", output::bytes(left), output::bytes(total))),
        (_, _, Some(used)) => Some(format!("{} used", output::bytes(used))),
        _ => None,
    };
    let ends = said.expires.map(|at| match at.saturating_sub(now_ms) / 1000 {
        0 => "has ended".to_owned(),
        seconds => format!("ends in {}", output::span(seconds)),
    });
    let facts: Vec<String> = traffic.into_iter().chain(ends).collect();
    match (&said.title, facts.is_empty()) {
        (Some(title), true) => Some(title.clone()),
        (Some(title), false) => Some(format!("{title}: {}", facts.join(", "))),
        (None, false) => Some(facts.join(", ")),
        (None, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use hezar_api::TrafficDto;

    use super::*;

    fn source() -> SourceDto {
        serde_json::from_value(serde_json::json!({
            "name": "multi-proxy-config-fetcher", "kind": "github", "nodes": 12345, "healthy": 1234, "exits": 123,
            "unique_exits": 12, "rejected": 1, "last_ok": 0, "error": "http-status",
            "error_text": "raw.lists.test answered with HTTP status 404; the list has moved or is gone",
            "next": 120_000,
        }))
        .unwrap()
    }

    #[test]
    fn the_table_fits_a_terminal_of_80_columns() {
        let mut table = output::table(HEADER);
        table.set_width(80);
        let text = sources(table, &[source()], 60_000).to_string();
        for line in text.lines() {
            assert!(line.trim_end().chars().count() <= 80, "{line}");
        }
        let words: String = text.split_whitespace().collect();
        assert!(words.contains("12345") && words.contains("404"), "{text}");
    }

    #[test]
    fn a_remark_says_when_the_next_try_is() {
        assert!(remark(&source(), 60_000).ends_with("is gone (next try in 1 min)"));
        assert!(remark(&source(), 120_000).ends_with("(next try now)"));
        let fine = SourceDto { error: None, error_text: None, half_life_s: Some(7200), ..source() };
        assert_eq!(remark(&fine, 0), "half of its nodes live 2 h");
        let useless = SourceDto { error: None, error_text: None, quarantined: true, ..source() };
        assert_eq!(remark(&useless, 60_000), "nothing in it works; read rarely, next in 1 min");
    }

    #[test]
    fn a_subscription_tells_what_is_left() {
        let said = SubscriptionDto {
            title: Some("Gold".into()),
            used: Some(12 << 30),
            total: Some(50 << 30),
            left: Some(38 << 30),
            expires: Some(40 * 86_400_000),
            ..SubscriptionDto::default()
        };
        let now = 5 * 86_400_000;
        assert_eq!(subscription(&said, now).unwrap(), "Gold: 38.0 GiB left of 50.0 GiB, ends in 35 d");
        let over = SubscriptionDto { title: None, total: None, left: None, expires: Some(1), ..said };
        assert_eq!(subscription(&over, now).unwrap(), "12.0 GiB used, has ended");
        assert_eq!(subscription(&SubscriptionDto::default(), now), None);
    }

    #[test]
    fn the_summary_counts_only_what_there_is() {
        let status: StatusDto = serde_json::from_value(serde_json::json!({
            "version": "1.2.3", "uptime_s": 277, "proxy": "127.0.0.1:8000",
            "listeners": [
                { "name": "proxy", "address": "127.0.0.1:8000" },
                { "name": "ports", "address": "127.0.0.1:8001", "ports": "24000-24099" },
                { "name": "side", "address": "127.0.0.1:8002" },
            ],
            "nodes": { "new": 0, "healthy": 2, "suspect": 0, "dead": 1, "unsupported": 0, "quarantined": 0 },
            "exits": 1, "schemes": {}, "sources": [], "reason": "every node is dead",
            "draining": [{ "pid": 7, "connections": 3, "since": output::now_ms() - 150_000 }],
        }))
        .unwrap();
        let traffic = TrafficDto { ok: 3, failed: 1, down: 3 << 20, ..TrafficDto::default() };
        let lines = summary(&StatusDto { traffic, ..status });
        assert_eq!(
            lines,
            [
                "hezar 1.2.3 on 127.0.0.1:8000, up 4 min",
                "listener ports: 127.0.0.1:8001, and a session on each of the ports 24000-24099",
                "listener side: 127.0.0.1:8002",
                "no request can be served: every node is dead",
                "nodes: 2 healthy, 1 dead; 1 exit",
                "requests: 3 served of 4, 0 refused; 0 B up, 3.0 MiB down",
                "process 7 drains after an upgrade: 3 connections open there, for 2 min",
            ]
        );
    }
}
