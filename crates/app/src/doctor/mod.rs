//! `hezar doctor`: looks at the machine, the network, the files and the running instance, and says for each thing whether it is well
//! and what to do when it is not.

mod files;
mod instance;
mod machine;
mod network;
mod reality;

use serde::Serialize;

use crate::{config::Config, inherited_sockets::SocketPlace, remote::Remote};

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It is well.
    Ok,
    /// It works, and something about it should be known.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be looked at, or there is nothing to look at.
    Skip,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The thing.
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), advice: None }
    }

    fn skip(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Skip, text: text.into(), advice: None }
    }

    fn warn(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, text: text.into(), advice: Some(advice.into()) }
    }

    fn fail(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, text: text.into(), advice: Some(advice.into()) }
    }
}

/// Looks at everything. `remote` is the running instance, when one has left a note.
pub(crate) async fn examine(config: &Config, remote: Option<&Remote>) -> Vec<Finding> {
    let mut found = machine::findings(&config.data);
    found.extend(files::findings(config, remote.is_some()).await);
    let status = match remote {
        Some(remote) => {
            let (findings, status) = instance::findings(remote).await;
            found.extend(findings);
            status
        }
        None => {
            found.push(Finding::skip("instance", "no instance runs with this configuration"));
            None
        }
    };
    let routable = status.as_ref().map(|status| status.nodes.healthy + status.nodes.suspect);
    found.extend(network::findings(config, routable).await);
    found.extend(reality::findings(config).await);
    found
}

/// What is said about a configuration that cannot be read.
pub(crate) fn unreadable_configuration(error: &anyhow::Error) -> Finding {
    Finding::fail("configuration", format!("{error:#}"), "correct it: hezar config check names every mistake")
}

/// Every place at which the configuration lets this program listen, with the name of what listens.
fn listen_places(config: &Config) -> Vec<(String, SocketPlace)> {
    let listeners = config.listeners.iter().flat_map(|listener| {
        let places = SocketPlace::of_listener(listener.kind, listener.listen);
        places.map(move |place| (format!("listener {}", listener.name), place))
    });
    let first = ("proxy".to_owned(), SocketPlace::tcp(config.proxy.listen));
    let api = config.api.address().map(|address| ("api".to_owned(), SocketPlace::tcp(address)));
    std::iter::once(first).chain(listeners).chain(api).collect()
}
