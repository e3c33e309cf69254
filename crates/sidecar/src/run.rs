//! Starts a core when a node wants it, and ends it when none has wanted it for a while.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    CoreHome, CoreName,
    current::{Core, CurrentCore},
    mihomo, xray,
};

/// The pause after a failure to make a home folder.
const NO_HOME: Duration = Duration::from_secs(30);

/// Runs the core of the moment, and each that takes its place.
pub(crate) async fn run_kind(current: &CurrentCore, stop: &CancellationToken) {
    let mut cores = current.follow();
    while !stop.is_cancelled() {
        let core = cores.borrow_and_update().clone();
        let replaced = stop.child_token();
        let running = async {
            match &core {
                Some(core) => run(current.name, core, &replaced).await,
                None => replaced.cancelled().await,
            }
        };
        let watching = async {
            // What is followed lives as long as this.
            let _ = stop.run_until_cancelled(cores.changed()).await;
            replaced.cancel();
        };
        tokio::join!(running, watching);
    }
}

/// Runs a core while nodes want it, until `stop`.
async fn run(name: CoreName, core: &Core, stop: &CancellationToken) {
    while stop.run_until_cancelled(core.slots.changed()).await.is_some() {
        match CoreHome::create(&core.start.folder, name.as_str()) {
            Ok(home) => {
                let (home, stop) = (Arc::new(home), stop.child_token());
                match name {
                    CoreName::Mihomo => mihomo::run_once(core, home, &stop).await,
                    CoreName::Xray => xray::run_once(core, home, &stop).await,
                }
            }
            Err(error) => {
                tracing::error!(core = name.as_str(), "the core cannot be started: {error}");
                stop.run_until_cancelled(sleep(NO_HOME)).await;
            }
        }
        core.slots.set_idle();
    }
}
