//! Asks a Clash core over its control interface: configurations, providers, checks of nodes, connections.

mod answers;
mod client;
mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

pub use self::{
    answers::{CoreChecks, CoreConnections, CoreProxy, CoreVersion},
    client::{Controller, ControllerAddress},
    error::{ControllerError, RefusedProxy},
};

/// How long a core may take for a question that needs no work.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a core may take to take over a configuration or a provider; 10,000 nodes need about a second.
const RELOAD: Duration = Duration::from_secs(60);
/// What a segment of a path may hold unescaped (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as a segment of a path.
fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, SEGMENT)
}

impl Controller {
    /// Which core it is.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn version(&self) -> Result<CoreVersion, ControllerError> {
        self.get("/version").await
    }

    /// Replaces the configuration by another one (YAML, of which JSON is a part). Controller and secret stay as they are. Streams over static
    /// nodes live on; those over nodes of file and http providers are cut.
    ///
    /// # Errors
    /// [`ControllerError::Refused`] with the core's message when it does not take it; the configuration before stays.
    pub async fn put_configuration(&self, configuration: &str) -> Result<(), ControllerError> {
        let body = json!({ "path": "", "payload": configuration }).to_string();
        self.send(Method::PUT, "/configs?force=true", body, RELOAD).await
    }

    /// Lets the core read a provider again. No stream is cut.
    ///
    /// # Errors
    /// [`ControllerError::Refused`] with the core's message when a node cannot be taken; the list before stays.
    pub async fn update_provider(&self, provider: &str) -> Result<(), ControllerError> {
        self.send(Method::PUT, &format!("/providers/proxies/{}", segment(provider)), String::new(), RELOAD).await
    }

    /// The names of the nodes of a provider, as the core knows them now.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn provider_nodes(&self, provider: &str) -> Result<Vec<String>, ControllerError> {
        let answer: answers::Provider = self.get(&format!("/providers/proxies/{}", segment(provider))).await?;
        Ok(answer.proxies.into_iter().map(|proxy| proxy.name).collect())
    }

    /// Changes single settings of the running configuration, such as `mixed-port`. No stream is cut.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn patch_configuration(&self, settings: &serde_json::Value) -> Result<(), ControllerError> {
        self.send(Method::PATCH, "/configs", settings.to_string(), RELOAD).await
    }

    /// The port at which the core's mixed listener listens; 0 when there is none, or when another program has the port.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn mixed_port(&self) -> Result<u16, ControllerError> {
        let answer: answers::Ports = self.get("/configs").await?;
        Ok(answer.mixed_port)
    }

    /// Lets the core check one node of a provider: the delay of a HEAD request for `url` through it, in whole milliseconds. Whether the answer
    /// had the status `expected` is told by [`CoreProxy::extra`] alone.
    ///
    /// # Errors
    /// [`ControllerError::Refused`] when the node does not bring an answer: status 504 when the time is over, 503 otherwise, also when the
    /// answer came within less than a millisecond.
    pub async fn check_provider_node(
        &self,
        provider: &str,
        node: &str,
        url: &str,
        expected: Option<u16>,
        limit: Duration,
    ) -> Result<Duration, ControllerError> {
        // The core takes 16 bits with a sign.
        let milliseconds = limit.as_millis().clamp(1, 32_767);
        let expected = expected.map(|status| format!("&expected={status}")).unwrap_or_default();
        let (provider, node, url) = (segment(provider), segment(node), segment(url));
        let path =
            format!("/providers/proxies/{provider}/{node}/healthcheck?timeout={milliseconds}&url={url}{expected}");
        let answer: answers::Delay = self.get_within(&path, limit + ANSWER).await?;
        Ok(Duration::from_millis(answer.delay.into()))
    }

    /// One node of a provider.
    ///
    /// # Errors
    /// [`ControllerError`]; status 404 when there is none of this name.
    pub async fn provider_node(&self, provider: &str, node: &str) -> Result<CoreProxy, ControllerError> {
        self.get(&format!("/providers/proxies/{}/{}", segment(provider), segment(node))).await
    }

    /// What runs through the core now.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn connections(&self) -> Result<CoreConnections, ControllerError> {
        self.get("/connections").await
    }
}
