//! `[engine]`: what carries the requests of clients, this program itself or a pair of Clash cores.

use std::{net::SocketAddr, time::Duration};

use hezar_core::{
    Secret, settings,
    settings::{Given, SettingValue},
};
use toml::{Table, Value};
use url::Url;

use super::section::Section;

/// The key of the section, and of the short form `engine = "clash"`.
const ENGINE: &str = "engine";

settings! {
    /// What carries the requests of clients. Whoever may write these may run programs, so they stand in the file, the environment or
    /// the flags alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EngineSettings in "engine" {
        /// `clash`: two Clash cores (mihomo) serve, one checks nodes and one carries clients' requests: docs/cores.md.
        /// `engine = "clash"` at the top of the file is the short form of `kind` in this section.
        pub kind: EngineKind = EngineKind::Native;
        /// How the GATEWAY core chooses a node.
        pub strategy: CoreStrategy = CoreStrategy::RoundRobin;
        /// How long changes of the healthy nodes are gathered until the GATEWAY core learns of them.
        pub update_pause: Duration [Duration::from_millis(100)..=Duration::from_secs(3600)] = Duration::from_secs(2);
        /// Nodes that the PROBE core is given at a time.
        pub batch: usize [1..=2000] = 500;
        /// Where the controller of the PROBE core (its delay API) listens beside its private socket.
        /// It asks for `controller_secret`.
        pub expose_controller: Option<SocketAddr> = None, example "\"127.0.0.1:9091\"";
        /// The same for the controller of the GATEWAY core.
        /// Whoever has the secret can also let the core send requests directly.
        pub expose_gateway_controller: Option<SocketAddr> = None, example "\"127.0.0.1:9092\"";
        /// The secret of the controllers that are exposed; made at the first start when absent.
        /// Then it lies in `clash/controller-secret` of the data folder.
        pub controller_secret: Option<Secret> = None, example "\"…\"";
        /// The controller of a core on another machine that is the PROBE core; http.
        /// Its whole configuration is replaced: it must serve nothing else.
        pub probe_controller: Option<Url> = None, example "\"http://192.0.2.7:9090\"";
        /// The secret of that controller.
        pub probe_secret: Option<Secret> = None, example "\"…\"";
    }
}

/// What carries the requests of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// This program.
    Native,
    /// A pair of Clash cores.
    Clash,
}

impl EngineKind {
    const ALL: [(&'static str, Self); 2] = [("native", Self::Native), ("clash", Self::Clash)];

    /// The word that the configuration, the status and the flag have for it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl SettingValue for EngineKind {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }

    fn expected((): &()) -> String {
        "\"native\" or \"clash\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.name().to_owned()))
    }

    fn choices() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }
}

/// How a load-balance group of a Clash core chooses among its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreStrategy {
    /// Each request the next member; a dial that fails is tried again with the one after it.
    RoundRobin,
    /// The same member for the same site.
    ConsistentHashing,
    /// The same member for the same client and site, for ten minutes.
    StickySessions,
}

impl CoreStrategy {
    const ALL: [(&'static str, Self); 3] = [
        ("round-robin", Self::RoundRobin),
        ("consistent-hashing", Self::ConsistentHashing),
        ("sticky-sessions", Self::StickySessions),
    ];

    /// The word of Clash for it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, strategy)| *strategy == self).map_or("", |(name, _)| name)
    }
}

impl SettingValue for CoreStrategy {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, strategy)| *strategy)
    }

    fn expected((): &()) -> String {
        "\"round-robin\", \"consistent-hashing\" or \"sticky-sessions\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.name().to_owned()))
    }

    fn choices() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }
}

/// Makes a table of the short form `engine = "clash"`.
pub(super) fn expand_short_form(root: &mut Table) {
    if let Some(Value::String(kind)) = root.get(ENGINE) {
        let kind = Value::String(kind.clone());
        root.insert(ENGINE.to_owned(), Value::Table(Table::from_iter([("kind".to_owned(), kind)])));
    }
}

/// Reads the section.
pub(super) fn engine(mut section: Section<'_>) -> EngineSettings {
    let mut engine = EngineSettings::default();
    section.fill(&mut engine);
    if engine.probe_controller.as_ref().is_some_and(|url| url.scheme() != "http") {
        section.problem("probe_controller", "the controller of a core is asked over http");
    }
    for (key, secret) in [("controller_secret", &engine.controller_secret), ("probe_secret", &engine.probe_secret)] {
        if secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            section.problem(key, "must not be empty");
        }
    }
    section.finish();
    engine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers, Problems, needs_restart};

    fn read(text: &str) -> Result<Config, Problems> {
        Config::read(text, None, &Layers::default())
    }

    #[test]
    fn the_short_form_says_the_same_as_the_section() {
        for text in ["engine = \"clash\"", "[engine]\nkind = \"clash\""] {
            assert_eq!(read(text).unwrap().engine.kind, EngineKind::Clash, "{text}");
        }
        assert_eq!(read("").unwrap().engine.kind, EngineKind::Native);
        let problem = read("engine = \"sing-box\"").unwrap_err().to_string();
        assert!(problem.contains("engine.kind") && problem.contains("\"native\" or \"clash\""), "{problem}");
        assert!(needs_restart("engine.strategy"));
    }

    #[test]
    fn what_cannot_be_is_a_problem() {
        for (text, expected) in [
            ("[engine]\nexpose_controller = \"127.0.0.1:9090\"", "is taken already"),
            ("[engine]\nprobe_controller = \"https://192.0.2.1:9090\"", "over http"),
            ("[engine]\ncontroller_secret = \"\"", "must not be empty"),
            ("[engine]\nstrategy = \"random\"", "sticky-sessions"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
