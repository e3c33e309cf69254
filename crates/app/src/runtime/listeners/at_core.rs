//! Listeners that a Clash core opens: their addresses are known here, and no socket is opened.

use std::net::SocketAddr;

use hezar_gateway::GatewayConfig;

use super::{Listeners, Place, Planned, sockets::free_address};

impl Listeners {
    /// The same listeners where a Clash core opens them: their addresses are known here and no socket is opened.
    pub(crate) fn at_core(self, are_at_core: bool) -> Self {
        Self { are_at_core, ..self }
    }

    /// A listener for the core, which opens one port for each.
    ///
    /// # Errors
    /// Its settings go not together, or its address is taken.
    pub(super) fn planned_at_core(&self, config: GatewayConfig, key: &str) -> anyhow::Result<Planned> {
        config.validate()?;
        let place = Place::AtCore(self.address_at_core(&config, key)?);
        Ok(Planned { config: GatewayConfig { ports: None, ..config }, filter: None, place, ports: Vec::new() })
    }

    /// Where a core is to listen for a listener. An address that no listener has yet is tried, so that one which another program uses is
    /// told now; for port 0 the system chooses one.
    fn address_at_core(&self, config: &GatewayConfig, key: &str) -> anyhow::Result<SocketAddr> {
        let open = self.open.read();
        let same = open.iter().find(|open| open.config.name == config.name && open.config.listen == config.listen);
        if let Some(open) = same {
            return Ok(open.address);
        }
        if open.iter().any(|open| open.address == config.listen) {
            return Ok(config.listen);
        }
        free_address(config.listen, key)
    }
}
