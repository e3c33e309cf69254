//! `hezar nodes`: the nodes of the running instance, one line each, the best in front.

use std::process::ExitCode;

use comfy_table::Table;
use hezar_api::{NodeDto, NodesPage, NodesQuery};

use super::remote::encode;
use crate::{cli::NodesArgs, output, remote::Remote};

/// Digits of an id that are shown. They tell nodes apart as long as there are not hundreds of thousands of them.
const ID_DIGITS: usize = 8;

pub(super) async fn nodes(remote: Remote, args: NodesArgs) -> anyhow::Result<ExitCode> {
    let mut query = NodesQuery {
        state: args.state,
        scheme: args.scheme,
        source: args.source,
        country: args.country,
        asn: args.asn,
        anonymity: args.anonymity,
        search: args.search,
        sort: Some(args.sort),
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
    if !nodes.is_empty() {
        let table = output::list(HEADER, FIXED);
        output::line(fill(table, &nodes, output::now_ms()).to_string())?;
    }
    output::line(summary(nodes.len(), args.offset, total))?;
    Ok(ExitCode::SUCCESS)
}

const HEADER: [&str; 8] = ["id", "state", "scheme", "latency", "cc", "checked", "server", "name or error"];

/// The columns in front that are never shortened.
const FIXED: usize = 6;

fn fill(mut table: Table, nodes: &[NodeDto], now_ms: u64) -> Table {
    for node in nodes {
        let id = node.id.get(..ID_DIGITS).unwrap_or(&node.id);
        output::add_line(
            &mut table,
            [
                id.to_owned(),
                node.state.clone(),
                scheme(node),
                latency(node),
                node.country.clone().unwrap_or_default(),
                output::ago(now_ms, node.last_checked),
                server(node),
                remark(node),
            ],
        );
    }
    table
}

/// The link scheme, with the core that dials the node when one does.
fn scheme(node: &NodeDto) -> String {
    match node.engine.as_deref() {
        Some(core) if core != "native" => format!("{} ({core})", node.scheme),
        _ => node.scheme.clone(),
    }
}

/// The last latency; in brackets when it is of no use now, because the node does not work any more.
fn latency(node: &NodeDto) -> String {
    match node.latency_ms {
        Some(ms) if matches!(node.state.as_str(), "healthy" | "suspect") => format!("{ms} ms"),
        Some(ms) => format!("({ms} ms)"),
        None => String::new(),
    }
}

fn server(node: &NodeDto) -> String {
    if node.server.contains(':') {
        format!("[{}]:{}", node.server, node.port)
    } else {
        format!("{}:{}", node.server, node.port)
    }
}

/// What is wrong with a node and how often in a row, or its name when nothing is, behind what an HTTP proxy gives away.
fn remark(node: &NodeDto) -> String {
    let wrong = node.unsupported.as_ref().or(node.quarantine.as_ref()).or(node.last_error.as_ref());
    match wrong {
        Some(code) if node.failures > 1 => format!("{code} ×{}", node.failures),
        Some(code) => code.clone(),
        None => match node.anonymity.as_deref().filter(|_| node.carries.is_some()) {
            Some(level @ ("transparent" | "anonymous")) => format!("{level}: {}", node.name),
            _ => node.name.clone(),
        },
    }
}

fn summary(shown: usize, offset: usize, total: usize) -> String {
    let whole = output::count(total, "node");
    match shown {
        0 if total == 0 => "no node fits; `hezar status` says what the sources gave".to_owned(),
        _ if offset == 0 && shown == total => whole,
        _ => format!("{shown} of {whole}; --limit and --offset show others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, state: &str) -> NodeDto {
        serde_json::from_value(serde_json::json!({
            "id": id, "name": "A name 🇩🇪 that a publisher made as long as it could be made", "state": state,
            "scheme": "hysteria2", "server": "a-rather-long-name.of-a-server.example.org", "port": 8443,
            "transport": "tcp", "security": "tls", "latency_ms": 1234, "failures": 16, "in_flight": 0,
            "last_ok": 1, "last_checked": 0, "last_error": (state == "dead").then_some("handshake-timeout"),
            "exit_ip": null, "country": "DE", "sources": [], "unsupported": null, "quarantine": null,
        }))
        .unwrap()
    }

    #[test]
    fn every_node_is_one_line_of_a_terminal() {
        let nodes =
            [node("4254ecba997a029360fbbbdc5958b2dd", "healthy"), node("5254ecba997a029360fbbbdc5958b2dd", "dead")];
        for columns in [80, 100, 200] {
            let table = fill(output::list_in(HEADER, FIXED, Some(columns)), &nodes, 60_000).to_string();
            assert_eq!(table.lines().count(), 3, "{table}");
            for line in table.lines() {
                assert!(unicode_columns(line) <= usize::from(columns), "{columns}: {line}");
            }
            assert!(table.contains("4254ecba ") && !table.contains("4254ecba9"), "{table}");
            assert!(table.contains(" 1234 ms ") && table.contains("(1234 ms)"), "{table}");
            assert!(table.contains("handshake"), "{table}");
        }
    }

    /// The columns of a line; the flags above are two characters of one column each.
    fn unicode_columns(line: &str) -> usize {
        line.trim_end().chars().count()
    }

    #[test]
    fn a_program_gets_whole_cells() {
        let table = fill(output::list_in(HEADER, FIXED, None), &[node("4254ecba", "healthy")], 0).to_string();
        assert!(table.contains("a-rather-long-name.of-a-server.example.org:8443"), "{table}");
        assert!(table.contains("as long as it could be made"), "{table}");
    }

    #[test]
    fn the_summary_says_what_is_left_out() {
        assert_eq!(summary(1, 0, 1), "1 node");
        assert!(summary(50, 0, 1516).starts_with("50 of 1516 nodes"));
        assert!(summary(0, 0, 0).contains("hezar status"));
    }
}
