//! What is open now.

use std::net::SocketAddr;

use hezar_api::ListenerStatusDto;
use hezar_gateway::GatewayConfig;

use super::{Listeners, Open};

impl Listeners {
    /// The settings of all listeners, the first one in front.
    pub(crate) fn configs(&self) -> Vec<GatewayConfig> {
        self.open.read().iter().map(|open| open.config.clone()).collect()
    }

    /// Where a listener listens; `None` when there is none with this name.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.open.read().iter().find(|open| *open.config.name == *name).map(|open| open.address)
    }

    /// Where the listeners listen, the first one in front.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.read().iter().map(|open| open.address).collect()
    }

    /// What the API says of the listeners, the first one in front.
    pub(crate) fn status(&self) -> Vec<ListenerStatusDto> {
        let status = |open: &Open| ListenerStatusDto {
            name: open.config.name.to_string(),
            address: open.address.to_string(),
            ports: open.config.ports.map(|ports| ports.to_string()),
            tls: open.config.server_tls.is_some(),
        };
        self.open.read().iter().map(status).collect()
    }
}
