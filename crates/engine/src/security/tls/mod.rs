//! TLS to a server, by rustls: one client configuration for all nodes with equal settings.
//!
//! A node's `fingerprint` and `ech` are read and not yet followed: the ClientHello is that of rustls, and the server
//! name is sent in the clear.

mod name;
mod read_ahead;
mod stream;
#[cfg(test)]
mod tests;
mod verifier;

use std::{collections::HashMap, fmt, io, sync::Arc};

use hezar_core::{Host, Pin, Stage, Tls};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use self::{read_ahead::ReadAhead, stream::Secured, verifier::NodeVerifier};
use crate::{Attempt, BoxStream, Cause, DialError};

/// The most configurations kept; nodes with rarer settings share nothing.
const MOST_CONFIGS: usize = 1024;

/// The most servers whose sessions a configuration remembers for resumption.
const MOST_SESSIONS: usize = 512;

/// Client configurations that nodes with equal settings share. Cheap to clone.
#[derive(Clone)]
pub struct TlsClients(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    /// Verifies against the public roots and the extra ones; absent when there is no root at all.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    configs: Mutex<HashMap<Key, Arc<ClientConfig>>>,
}

/// The settings that a configuration depends on. The server's name is not among them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    alpn: Vec<Box<str>>,
    disable_sni: bool,
    skip_verify: bool,
    pins: Vec<Pin>,
    verify_names: Vec<Box<str>>,
}

impl TlsClients {
    /// Trusts the public roots (Mozilla's) and `extra_roots` (DER); an extra root that cannot be read is left out.
    #[must_use]
    pub fn new(extra_roots: &[CertificateDer<'static>]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            if let Err(error) = roots.add(root.clone()) {
                tracing::warn!(%error, "an extra root certificate cannot be read");
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        Self(Arc::new(Inner { provider, verifier: verifier.ok(), configs: Mutex::default() }))
    }

    /// Secures a stream to `server`. `default_alpn` is offered when the node names no protocols of its own.
    ///
    /// # Errors
    /// [`DialError`] at the security stage: [`Cause::Certificate`], [`Cause::Tls`] or a failure of the stream.
    pub(crate) async fn wrap(
        &self,
        stream: BoxStream,
        tls: &Tls,
        server: &Host,
        default_alpn: &[&str],
        attempt: &Attempt,
    ) -> Result<BoxStream, DialError> {
        let failed = |cause| DialError::new(Stage::Security, cause);
        let config = self.config(tls, default_alpn).map_err(|error| failed(Cause::Tls(error.to_string().into())))?;
        let name = name::to_send(tls, server);
        let secured = attempt.stage(Stage::Security, handshake(stream, config, name)).await?;
        Ok(Box::new(secured))
    }

    /// The configuration for TLS inside QUIC to `server`, and the name to ask for.
    ///
    /// # Errors
    /// [`Cause::Tls`] when the settings make no configuration.
    pub(crate) fn for_quic(
        &self,
        tls: &Tls,
        server: &Host,
        default_alpn: &[&str],
    ) -> Result<(Arc<ClientConfig>, String), Cause> {
        let config = self.config(tls, default_alpn).map_err(|error| Cause::Tls(error.to_string().into()))?;
        Ok((config, name::to_send(tls, server).to_str().into_owned()))
    }

    /// The configuration for these settings.
    fn config(&self, tls: &Tls, default_alpn: &[&str]) -> Result<Arc<ClientConfig>, rustls::Error> {
        let default = || default_alpn.iter().map(|name| Box::from(*name)).collect();
        let key = Key {
            alpn: if tls.alpn.is_empty() { default() } else { tls.alpn.clone() },
            disable_sni: tls.disable_sni,
            skip_verify: tls.skip_verify,
            pins: tls.pins.clone(),
            verify_names: tls.verify_names.clone(),
        };
        if let Some(config) = self.0.configs.lock().get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.new_config(&key)?);
        let mut configs = self.0.configs.lock();
        if configs.len() < MOST_CONFIGS {
            return Ok(Arc::clone(configs.entry(key).or_insert(config)));
        }
        Ok(config)
    }

    fn new_config(&self, key: &Key) -> Result<ClientConfig, rustls::Error> {
        let provider = &self.0.provider;
        let verifier = NodeVerifier::new(self.0.verifier.clone(), Arc::clone(provider), key);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // RFC 7301 §3.1: a name has 1 to 255 bytes; others cannot be sent.
        let sendable = key.alpn.iter().map(|name| name.as_bytes()).filter(|name| (1..=255).contains(&name.len()));
        config.alpn_protocols = sendable.map(<[u8]>::to_vec).collect();
        config.enable_sni = !key.disable_sni;
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(MOST_SESSIONS)));
        Ok(config)
    }
}

impl fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClients").finish_non_exhaustive()
    }
}

async fn handshake(
    stream: BoxStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Secured<ReadAhead<BoxStream>>, Cause> {
    let stream = TlsConnector::from(config).connect(name, ReadAhead::new(stream)).await.map_err(cause_of)?;
    Ok(Secured::new(stream))
}

/// What rustls refused, if it was rustls; otherwise what happened to the stream.
fn cause_of(error: io::Error) -> Cause {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(refused @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            Cause::Certificate(refused.to_string().into())
        }
        Some(other) => Cause::Tls(other.to_string().into()),
        None => Cause::from(error),
    }
}
