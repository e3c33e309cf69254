//! The settings of the API and of the Clash API.

use std::{net::SocketAddr, path::PathBuf};

use hezar_accept::PortTls;
use hezar_core::{
    Secret, settings,
    settings::{Given, Networks, Optional, SettingValue},
};

settings! {
    /// Control and metrics.
    #[derive(Clone, Debug)]
    pub struct ApiSettings in "api" {
        /// Where the API listens.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9090)), set;
        /// False: there is no API.
        pub enabled: bool = true;
        /// At least 16 characters; made at the first start when absent.
        pub token: Option<ApiToken> = None, example "\"…\"";
        /// Names under which the API may be asked.
        /// Addresses and `localhost` need no name.
        pub hosts: Vec<String> = Vec::new(), example "[\"hezar.example.org\"]";
        /// True: `/metrics` needs a token that may read, too.
        /// It names users, listeners and sources. `/metrics/nodes` always needs one.
        pub metrics_token: bool = false;
        /// Nodes at `/metrics/nodes`, those that are used most.
        pub metrics_nodes: usize [1..=10_000] = 200;
        /// Reverse proxies whose `X-Forwarded-For` names the client; each may have any number of the connections.
        /// Those on this machine are believed too, and count as one client unless they are named here.
        pub trusted_proxies: Networks = Networks::default(), example "[\"127.0.0.1\"]";
    } and {
        /// Whether the port speaks TLS, and where its certificate comes from.
        pub tls: PortTls = PortTls::default();
    }
}

settings! {
    /// The Clash API, for dashboards.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClashSettings in "clash" {
        /// False: the paths of the Clash API do not exist.
        pub enabled: bool = true;
        /// A folder with the files of a dashboard.
        /// Everybody who reaches the API may read them, at `/ui/`.
        pub ui: Option<PathBuf> = None, example "\"zashboard\"";
        /// Nodes that dashboards are shown, the best ones.
        pub nodes: usize [1..=100_000] = 2000;
        /// True: a request fails when what is selected cannot serve it.
        /// False: it leaves through another node.
        pub strict: bool = false;
    }
}

impl ApiSettings {
    /// The address of the API; `None` when there is no API.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.enabled.then_some(self.listen)
    }
}

/// The token that every request must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken(pub Secret);

impl SettingValue for ApiToken {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        (text.len() >= 16 && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    fn expected((): &()) -> String {
        "a text of at least 16 characters".to_owned()
    }

    fn write(&self) -> Option<Given> {
        self.0.write()
    }
}

impl Optional for ApiToken {}
