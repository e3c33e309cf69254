//! The installed cores as engines beside the one of the program.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use hezar_child::Launcher;
use hezar_engine::{Engine, EngineList, NativeEngine};
use hezar_sidecar::{CoreChoice, Sidecar, SidecarSettings};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{harness, peer::Peer};

/// Running cores. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Cores {
    /// The program's own engine, then the cores.
    pub(crate) engine: Arc<dyn Engine>,
    _running: AbortOnDropHandle<()>,
}

/// What has to be installed for [`Cores::start`] and is not.
pub(crate) fn missing() -> Option<&'static str> {
    let core = [Peer::Mihomo, Peer::Xray].into_iter().find(|peer| peer.program().is_none());
    core.map(Peer::name).or_else(|| harness::hezar().is_none().then_some("the program hezar"))
}

impl Cores {
    /// mihomo and Xray as the application runs them; their home folders are in `folder`.
    pub(crate) fn start(native: &NativeEngine, folder: &Path) -> anyhow::Result<Self> {
        let hezar = harness::hezar().context("the program hezar is not there")?;
        let program = |peer: Peer| peer.program().map(CoreChoice::Path).context("a core is not installed");
        let settings = SidecarSettings {
            mihomo: program(Peer::Mihomo)?,
            xray: program(Peer::Xray)?,
            ..SidecarSettings::default()
        };
        let native: Arc<dyn Engine> = Arc::new(native.clone());
        let launcher = Launcher::new(hezar, ["launch-child".into()]);
        let sidecar = Sidecar::new(Arc::clone(&native), launcher, folder.join("cores"));
        sidecar.configure(&settings);
        let engine = Arc::new(EngineList::new(native, sidecar.engines()));
        let running = tokio::spawn(async move { sidecar.run(&CancellationToken::new()).await });
        Ok(Self { engine, _running: AbortOnDropHandle::new(running) })
    }
}
