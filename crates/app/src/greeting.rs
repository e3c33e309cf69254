//! What a person reads once everything listens: the addresses, what the store holds, and what to do next.

use std::{net::SocketAddr, path::PathBuf};

use hezar_pool::Counts;

use crate::output;

/// What the greeting is made from.
pub(crate) struct Greeting {
    /// The addresses of the listeners, the first one in front.
    pub(crate) proxies: Vec<SocketAddr>,
    /// Whether the first listener speaks TLS.
    pub(crate) tls: bool,
    /// The address of the API, and the file that holds its token when the configuration has none.
    pub(crate) api: Option<(SocketAddr, Option<PathBuf>)>,
    /// Nodes of the store, by state.
    pub(crate) nodes: Counts,
    /// Sources that are read.
    pub(crate) sources: usize,
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// Whether the nodes are those of `--demo`, which reach the demonstration's own page and nothing else.
    pub(crate) demo: bool,
}

impl Greeting {
    /// The lines of the block.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("Hezar {} is running; Ctrl-C ends it.", env!("CARGO_PKG_VERSION"))];
        if let Some(first) = self.proxies.first() {
            let first = reachable(*first);
            let (scheme, inside) = if self.tls { ("https", " inside TLS") } else { ("http", "") };
            lines.push(format!("  proxy    {first}   HTTP and SOCKS{inside}, for browsers and programs"));
            let page = if self.demo { hezar_lab::DEMO_HOST } else { "example.org" };
            lines.push(format!("           try it: curl -x {scheme}://{first} http://{page}/"));
        }
        for more in self.proxies.iter().skip(1) {
            lines.push(format!("           {}   another listener", reachable(*more)));
        }
        match &self.api {
            Some((address, Some(token))) => {
                lines.push(format!("  API      http://{}   token in {}", reachable(*address), token.display()));
            }
            Some((address, None)) => lines.push(format!("  API      http://{}", reachable(*address))),
            None => {}
        }
        if self.api.is_some() {
            lines.push("  page     `hezar page` opens it, signed in".to_owned());
        }
        lines.push(format!("  nodes    {}", self.nodes()));
        let config = self.config.as_ref().map(|file| format!(" in {}", file.display())).unwrap_or_default();
        let sources =
            if self.demo { "the demonstration alone".to_owned() } else { format!("{}{config}", self.sources) };
        lines.push(format!("  sources  {sources}"));
        lines.push(format!("  next     {}", self.next()));
        lines
    }

    fn nodes(&self) -> String {
        let nodes = &self.nodes;
        let states = [
            (nodes.healthy, "healthy"),
            (nodes.suspect, "suspect"),
            (nodes.new, "not checked yet"),
            (nodes.dead, "dead"),
            (nodes.unsupported, "unsupported"),
            (nodes.quarantined, "in quarantine"),
            (nodes.disabled, "switched off"),
        ];
        let states: Vec<String> =
            states.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
        if states.is_empty() { "none stored yet".to_owned() } else { states.join(", ") }
    }

    /// What a person who has just started the program does now.
    fn next(&self) -> &'static str {
        let nodes = &self.nodes;
        match (nodes.healthy + nodes.suspect, nodes.total(), self.sources) {
            (0, 0, 0) => "`hezar add LINK…` adds a node, a [[source]] table a list of them",
            (0, 0, _) => "the sources are being read; `hezar status` says what they gave",
            (0, ..) => "the nodes are being checked; the first request waits for a good one",
            _ => "`hezar nodes` lists what works, `hezar top` watches it",
        }
    }

    /// Shows the block on standard error, where it does not disturb what is piped on.
    pub(crate) fn show(&self) {
        output::note(self.lines().join("\n"));
    }
}

/// The address as a program on this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v6.port())),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(nodes: Counts, sources: usize) -> Greeting {
        Greeting {
            proxies: vec!["0.0.0.0:8000".parse().unwrap(), "127.0.0.1:8001".parse().unwrap()],
            tls: false,
            api: Some(("127.0.0.1:9090".parse().unwrap(), Some("/data/token".into()))),
            nodes,
            sources,
            config: Some("/etc/hezar.toml".into()),
            demo: false,
        }
    }

    #[test]
    fn the_block_names_addresses_nodes_and_the_next_step() {
        let text = greeting(Counts { healthy: 2, dead: 1, ..Counts::default() }, 6).lines().join("\n");
        for part in [
            "127.0.0.1:8000   HTTP and SOCKS",
            "curl -x http://127.0.0.1:8000 ",
            "127.0.0.1:8001   another listener",
            "http://127.0.0.1:9090   token in /data/token",
            "page     `hezar page`",
            "2 healthy, 1 dead",
            "6 in /etc/hezar.toml",
            "`hezar nodes`",
        ] {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn the_demonstration_is_tried_with_its_own_page() {
        let text = Greeting { demo: true, ..greeting(Counts { new: 2, ..Counts::default() }, 0) }.lines().join("\n");
        assert!(text.contains("http://demo.hezar/") && !text.contains("example.org"), "{text}");
        assert!(text.contains("sources  the demonstration"), "{text}");
    }

    #[test]
    fn the_next_step_fits_the_state() {
        let next = |nodes, sources| greeting(nodes, sources).next();
        for (nodes, sources) in [(0, 0), (0, 1), (1, 1)] {
            let block = greeting(Counts { dead: nodes, ..Counts::default() }, sources).lines();
            assert!(block.iter().all(|line| line.chars().count() <= 80), "{block:?}");
        }
        assert!(next(Counts::default(), 0).contains("hezar add"));
        assert!(next(Counts::default(), 1).contains("being read"));
        assert!(next(Counts { dead: 3, ..Counts::default() }, 0).contains("being checked"));
    }
}
