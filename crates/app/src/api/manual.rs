//! Nodes that are added by hand, through the API or `hezar add`: read off the runtime's threads, and durable when they are answered for.

use std::sync::Arc;

use hezar_api::{AddQuery, AddReport, ApiError, RejectDto, Saved};
use hezar_core::{Label, NodeId, NodeSpec, Reach};
use hezar_formats::{Parsed, Reject, RejectCode};
use hezar_pool::PoolChange;
use tokio::task::spawn_blocking;
use url::Url;

use super::ApiBackend;
use crate::config::{MANUAL, MANUAL_PRIVATE};

/// The code of a node on a private address; the engine's word for the same.
const FORBIDDEN: &str = "forbidden-address";

/// What a text holds, sorted.
#[derive(Default)]
struct Read {
    nodes: Vec<(NodeSpec, Label)>,
    ids: Vec<NodeId>,
    rejects: Vec<RejectDto>,
}

impl ApiBackend {
    /// Adds what can be added, and says of everything else why not.
    pub(crate) async fn add_by_hand(
        &self,
        text: hyper::body::Bytes,
        query: AddQuery,
    ) -> Result<Saved<AddReport>, ApiError> {
        let source = if query.allow_private { MANUAL_PRIVATE } else { MANUAL };
        let (pool, now) = (Arc::clone(&self.pool), self.clock.now());
        let work = spawn_blocking(move || {
            let Read { nodes, ids, rejects } = read(&text, query.allow_private);
            let list =
                PoolChange::List { source: source.into(), allow_private: query.allow_private, nodes, complete: false };
            let applied = pool.apply(list, now);
            // The pool leaves out what is beyond its bounds.
            let ids: Vec<NodeId> = ids.into_iter().filter(|id| pool.node(*id).is_some()).collect();
            (applied, ids, rejects)
        });
        let (applied, ids, rejects) = work.await.map_err(|_| ApiError::Internal)?;
        // What was answered for is on the disk: nothing else remembers a node that was added by hand.
        let stored = if ids.is_empty() { true } else { self.table.noted_by_hand(source, now).await? };
        let done = AddReport {
            added: applied.added,
            known: ids.len().saturating_sub(applied.added),
            left_out: applied.left_out.total(),
            ids: ids.iter().map(ToString::to_string).collect(),
            rejects,
        };
        Ok(Saved { done, stored })
    }
}

fn read(text: &[u8], allow_private: bool) -> Read {
    let Parsed { nodes, rejects, .. } = hezar_formats::parse(text);
    let lines = String::from_utf8_lossy(text);
    let mut read = Read { rejects: rejects.iter().map(|reject| refused(reject, &lines)).collect(), ..Read::default() };
    let mut seen = std::collections::HashSet::new();
    for entry in nodes {
        if !allow_private && is_private(&entry.spec) {
            read.rejects.push(RejectDto {
                line: entry.line,
                reject: FORBIDDEN.to_owned(),
                excerpt: format!("{}://{}", entry.spec.scheme(), entry.spec.server),
                hint: Some(
                    "a private or loopback address: `hezar add --allow-private` (API: ?allow_private=true) takes it"
                        .to_owned(),
                ),
            });
            continue;
        }
        let id = entry.spec.id();
        if seen.insert(id) {
            read.ids.push(id);
            read.nodes.push((entry.spec, entry.label));
        }
    }
    read.rejects.sort_by_key(|reject| reject.line);
    read
}

/// Whether this machine would connect to a private address: that of the first server of a chain counts.
pub(super) fn is_private(spec: &NodeSpec) -> bool {
    let mut first = spec;
    while let Some(via) = first.via() {
        first = via;
    }
    first.server.host().reach() == Reach::Private
}

fn refused(reject: &Reject, text: &str) -> RejectDto {
    let web = reject.code == RejectCode::WebAddress;
    RejectDto {
        line: reject.line,
        reject: reject.code.code().to_owned(),
        excerpt: reject.excerpt.to_string(),
        hint: web.then(|| source_hint(whole_line(reject, text))),
    }
}

/// The line that an excerpt was cut from; the excerpt itself when the text was encoded.
fn whole_line<'a>(reject: &'a Reject, text: &'a str) -> &'a str {
    let line = reject.line.checked_sub(1).and_then(|index| text.lines().nth(index)).unwrap_or_default().trim();
    let start: String = reject.excerpt.chars().take(20).collect();
    if line.starts_with(&start) { line } else { &reject.excerpt }
}

/// How a web address becomes a source: what to put into the configuration.
fn source_hint(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return "this is a web address: a subscription belongs into the configuration, as [[source]] with url = \"…\""
            .to_owned();
    };
    let host = url.host_str().unwrap_or_default().trim_start_matches("www.");
    let segments: Vec<&str> =
        url.path_segments().map(|parts| parts.filter(|part| !part.is_empty()).collect()).unwrap_or_default();
    let (name, key, value) = match (host, &segments[..]) {
        ("t.me" | "telegram.me", ["s", channel, ..] | [channel, ..]) => (*channel, "telegram", (*channel).to_owned()),
        ("github.com", [owner, repository]) => (*repository, "github", format!("{owner}/{repository}")),
        _ => (host, "url", address.to_owned()),
    };
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "this is a source of nodes, not a node. Put it into the configuration and start again:\n[[source]]\nname = {}\n{key} = {}",
        quoted(name),
        quoted(&value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_unless_they_are_allowed() {
        let text = b"socks5://192.168.1.2:1080#lan\nsocks5://127.0.0.1:9050\nsocks5://[::1]:1\nsocks5://localhost:2\nsocks5://11.0.0.1:1080\n";
        let found = read(text, false);
        assert_eq!((found.ids.len(), found.rejects.len()), (1, 4));
        assert!(found.rejects.iter().all(|reject| reject.reject == FORBIDDEN && reject.hint.is_some()));
        assert_eq!(found.rejects.iter().map(|reject| reject.line).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let found = read(text, true);
        assert_eq!((found.ids.len(), found.rejects.len()), (5, 0));
    }

    #[test]
    fn a_web_address_becomes_a_source() {
        for (address, expected) in [
            ("https://sub.example/a?token=x\"y", "name = \"sub.example\"\nurl = 'https://sub.example/a?token=x\"y'"),
            ("https://t.me/s/some_channel", "name = \"some_channel\"\ntelegram = \"some_channel\""),
            ("https://github.com/me/list", "name = \"list\"\ngithub = \"me/list\""),
            ("https://github.com/me/list/raw/main/x.txt", "url = \"https://github.com/me/list/raw/main/x.txt\""),
        ] {
            let found = read(format!("{address}\n").as_bytes(), false);
            let [reject] = &found.rejects[..] else { panic!("{address}: {} rejects", found.rejects.len()) };
            let hint = reject.hint.clone().unwrap();
            assert!(hint.contains(expected), "{hint}");
            // What is to be pasted is a good configuration.
            let (_, pasted) = hint.split_once('\n').unwrap();
            let config = crate::config::Config::read(pasted, None, &crate::config::Layers::default()).unwrap();
            assert_eq!(config.sources.len(), 1);
        }
        let long = format!("https://sub.example/{}", "a".repeat(300));
        assert!(read(long.as_bytes(), false).rejects[0].hint.clone().unwrap().contains(&long));
    }
}
