//! `--demo`: a loopback world of real upstream servers, some of them dead or slow; no network needed.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use hezar_core::Label;
use hezar_formats::parse;
use hezar_lab::{DEMO_HOST, World, WorldConfig};
use hezar_pool::PoolChange;
use hezar_probe::{CanaryBody, CanaryPage};
use hezar_store::{StoreSettings, StoreUrl};
use tempfile::TempDir;
use url::Url;

use crate::{
    base::Base,
    config::{Config, ConfigOrigin, ObjectKey, ObjectKind},
    output,
};

/// The name under which the world's nodes are listed.
const SOURCE: &str = "demo";
/// The length of the page whose bytes are known; the world serves so many times the letter h.
const KNOWN: usize = 40;

/// A running world and its share links.
#[derive(Debug)]
pub(crate) struct Demo {
    world: World,
    folder: TempDir,
}

impl Demo {
    /// Starts the world, and says how to try it at this address.
    pub(crate) async fn start(listen: SocketAddr) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::demo()).await.context("cannot start the demonstration world")?;
        // The servers' ports change with every start: a store of its own keeps them out of the real one.
        // Its random name, its mode 0700 and that it must be new keep other users of this machine out.
        let folder = tempfile::Builder::new().prefix("hezar-demo-").tempdir();
        let folder = folder.context("cannot create a temporary folder for the demonstration")?;
        output::note(format!(
            "demo: {} upstream servers on loopback, some of them dead; try\n  curl -x http://{listen} http://{DEMO_HOST}/\n  curl -x socks5h://{listen} http://{DEMO_HOST}/",
            world.nodes().len(),
        ));
        Ok(Self { world, folder })
    }

    /// Points a configuration at the world: its pages are asked for, and the sources of the file are not read. Those that somebody
    /// adds while it runs are.
    pub(crate) fn adaptation(&self) -> anyhow::Result<impl Fn(&mut Config) + Send + Sync + 'static> {
        let url = |path: &str| Url::parse(&format!("http://{DEMO_HOST}{path}"));
        let (probe, trace, known) = (url("/generate_204")?, url("/cdn-cgi/trace")?, url(&format!("/bytes/{KNOWN}"))?);
        let store = StoreUrl(format!("sqlite:{}", self.folder.path().join("demo.db").display()).into());
        Ok(move |config: &mut Config| {
            config.probe.url = probe.clone();
            config.probe.trace_url = Some(trace.clone());
            config.probe.expect_status = 204;
            config.probe.expect_body = None;
            let body = CanaryBody::Text("h".repeat(KNOWN).into());
            config.probe.canaries = vec![CanaryPage { url: known.clone(), body }];
            // Nothing outside this machine is asked, not even to find out whether the uplink works.
            config.probe.control.clear();
            config.probe.timeout = config.probe.timeout.min(Duration::from_secs(2));
            config.probe.connect_timeout = config.probe.timeout;
            config.probe.interval = config.probe.interval.min(Duration::from_secs(5));
            let origins = &config.origins;
            let is_stored =
                |name: &str| origins.get(&ObjectKey::new(ObjectKind::Source, name)) == Some(&ConfigOrigin::Store);
            config.sources.retain(|source| is_stored(&source.name));
            config.store = StoreSettings { url: store.clone(), ..StoreSettings::default() };
        })
    }

    /// Lists the world's nodes in the pool.
    pub(crate) fn join(&self, base: &mut Base) {
        base.demo = true;
        let nodes: Vec<_> = parse(self.world.links().as_bytes())
            .nodes
            .into_iter()
            .map(|entry| (entry.spec, Label::new(entry.label.as_str())))
            .collect();
        let list = PoolChange::List { source: SOURCE.into(), allow_private: true, nodes, complete: true };
        let applied = base.pool.apply(list, base.clock.now());
        tracing::info!(nodes = applied.added, "demo world joined");
    }

    /// Ends the world and removes its store.
    pub(crate) async fn end(self) {
        self.world.shutdown().await;
        let _ = self.folder.close();
    }
}
