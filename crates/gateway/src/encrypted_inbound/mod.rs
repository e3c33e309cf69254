//! What an encrypted listener is made of: its credentials and its server half, built of its settings.

use std::sync::Arc;

use ahash::AHashSet;
use hezar_engine::{
    AddressPolicy, BuildError, Engine,
    server::{CredentialId, InboundServer, Keyring, KeyringKind, ShadowsocksServer},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

use crate::{
    GatewayConfig, InboundConfig, InboundProtocol,
    access::{CredentialTable, Holder},
    fallback::Fallback,
    telemetry::InboundKind,
};

mod build;
mod reality;

pub use reality::check_reality_site;

/// From so many users on, their credentials take milliseconds.
const MANY_USERS: usize = 10_000;

/// One encrypted inbound with the settings of one moment.
#[derive(Debug)]
pub(crate) struct EncryptedInbound {
    protocol: InboundProtocol,
    table: CredentialTable,
    /// What reads the requests of connections; absent where clients send packets only.
    server: Option<Arc<InboundServer>>,
    /// What answers strangers; absent where silence tells them least.
    fallback: Option<Arc<Fallback>>,
}

impl EncryptedInbound {
    /// Builds what the settings ask for; `None` where the listener speaks HTTP and SOCKS. While nothing but users and limits
    /// changes, the server half stays the one of `before`: it remembers what was sent before.
    ///
    /// # Errors
    /// [`BuildError`] when the settings do not fit together.
    pub(crate) fn build(
        config: &Arc<GatewayConfig>,
        before: Option<&Self>,
        engine: &dyn Engine,
    ) -> Result<Option<Arc<Self>>, BuildError> {
        let Some(inbound) = &config.inbound else { return Ok(None) };
        let same = before.filter(|before| {
            let config_before = before.table.config();
            config_before.inbound == config.inbound && config_before.server_tls == config.server_tls
        });
        let (server, fallback) = match same {
            Some(before) => (before.server.clone(), before.fallback.clone()),
            None => {
                // Whoever meets Shadowsocks sees random bytes: no site speaks so, and none would answer.
                let has_site = !matches!(inbound.protocol, InboundProtocol::Shadowsocks(_));
                let direct = engine.direct(AddressPolicy::Any);
                let fallback = has_site.then(|| Arc::new(Fallback::new(&inbound.fallback, Arc::clone(&direct))));
                let sites = reality::Sites { fallback: fallback.as_ref(), direct: &direct };
                (build::server(config, inbound, &sites)?.map(Arc::new), fallback)
            }
        };
        let table = beside_tasks(config.users.len(), || {
            CredentialTable::new(config, inbound, before.map(|before| &before.table))
        });
        warn_of_untried(config, inbound, table.keyring());
        Ok(Some(Arc::new(Self { protocol: inbound.protocol.clone(), table, server, fallback })))
    }

    /// What clients speak.
    pub(crate) const fn protocol(&self) -> &InboundProtocol {
        &self.protocol
    }

    /// What reads the requests of connections; absent where clients send packets only.
    pub(crate) fn server(&self) -> Option<&InboundServer> {
        self.server.as_deref()
    }

    /// What serves the packets of Shadowsocks; absent where clients speak something else.
    pub(crate) fn shadowsocks(&self) -> Option<&ShadowsocksServer> {
        self.server()?.shadowsocks()
    }

    /// What answers strangers; absent where silence tells them least.
    pub(crate) const fn fallback(&self) -> Option<&Arc<Fallback>> {
        self.fallback.as_ref()
    }

    /// What tells the credentials apart.
    pub(crate) const fn keyring(&self) -> &Arc<Keyring> {
        self.table.keyring()
    }

    /// Who has shown a credential of the listener, now or with older settings; `None` when they have it no more.
    pub(crate) fn holder(&self, credential: CredentialId) -> Option<Holder> {
        self.table.holder(credential)
    }

    /// The users with a credential that counted before and counts no more.
    pub(crate) fn users_with_lost_credentials<'a>(&self, before: &'a Self) -> AHashSet<&'a str> {
        self.table.users_with_lost_credentials(&before.table)
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

/// Tells the log of credentials that nobody can use, because the cipher has no keys of users and not all of them are tried.
fn warn_of_untried(config: &GatewayConfig, inbound: &InboundConfig, keyring: &Keyring) {
    let (credentials, most) = (keyring.len(), ShadowsocksServer::MOST_TRIED);
    if inbound.protocol.keyring_kind() == KeyringKind::Shadowsocks && credentials > most {
        let listener = &config.name;
        tracing::warn!(%listener, credentials, most, "only the first credentials are tried with this cipher; take one of 2022");
    }
}

/// Does work that takes long with many users; where the runtime has several threads, it lets another one have the tasks of this one.
fn beside_tasks<T>(users: usize, work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if users > MANY_USERS && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) { block_in_place(work) } else { work() }
}
