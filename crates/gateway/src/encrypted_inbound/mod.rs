//! What an encrypted listener is made of: its credentials and its server half, built of its settings.

use std::sync::Arc;

use hezar_engine::{
    BuildError,
    server::{CredentialId, InboundServer, Keyring},
};

use crate::{
    GatewayConfig, InboundProtocol,
    access::{CredentialTable, Holder},
    telemetry::InboundKind,
};

mod build;

/// One encrypted inbound with the settings of one moment.
#[derive(Debug)]
pub(crate) struct EncryptedInbound {
    protocol: InboundProtocol,
    table: CredentialTable,
    /// What reads the requests of connections; absent where clients send packets only.
    server: Option<Arc<InboundServer>>,
}

impl EncryptedInbound {
    /// Builds what the settings ask for; `None` where the listener speaks HTTP and SOCKS. While nothing but users and limits
    /// changes, the server half stays the one of `before`: it remembers what was sent before.
    ///
    /// # Errors
    /// [`BuildError`] when the settings do not fit together.
    pub(crate) fn build(config: &Arc<GatewayConfig>, before: Option<&Self>) -> Result<Option<Arc<Self>>, BuildError> {
        let Some(inbound) = &config.inbound else { return Ok(None) };
        let same = before.filter(|before| {
            let config_before = before.table.config();
            config_before.inbound == config.inbound && config_before.server_tls == config.server_tls
        });
        let server = match same {
            Some(before) => before.server.clone(),
            None => build::server(config, inbound)?.map(Arc::new),
        };
        let table = CredentialTable::new(config, inbound);
        Ok(Some(Arc::new(Self { protocol: inbound.protocol.clone(), table, server })))
    }

    /// What reads the requests of connections; absent where clients send packets only.
    pub(crate) fn server(&self) -> Option<&InboundServer> {
        self.server.as_deref()
    }

    /// What tells the credentials apart.
    pub(crate) const fn keyring(&self) -> &Arc<Keyring> {
        self.table.keyring()
    }

    /// Who has shown a credential of this inbound, with the settings that `now` has for them; `None` when they have it no more.
    pub(crate) fn holder(&self, credential: CredentialId, now: &Self) -> Option<Holder> {
        self.table.holder(credential, &now.table)
    }

    /// How its streams are named.
    pub(crate) const fn stream_kind(&self) -> InboundKind {
        InboundKind::stream_of(&self.protocol)
    }

    /// How its associations are named.
    pub(crate) const fn datagrams_kind(&self) -> InboundKind {
        InboundKind::datagrams_of(&self.protocol)
    }
}
