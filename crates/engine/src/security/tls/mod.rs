//! TLS by rustls: to a server, with one client configuration for all nodes with equal settings, and as a server.
//!
//! With a `fingerprint` the ClientHello is a browser's ([`hello`](super::hello)), unless the node publishes ECH: then the
//! server name is hidden in one of rustls' own.

mod ech;
mod handshake;
pub(super) mod name;
pub(super) mod records;
pub(crate) mod server;
mod sessions;
mod target;
#[cfg(test)]
mod tests;
mod verifier;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use hezar_core::{Fingerprint, Host, Pin, Stage, Tls};
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::handshake::{Handshaken, TlsStream, handshake};
#[cfg(feature = "fuzzing")]
pub(crate) use self::records::{
    compare as compare_records, decode as decode_records, decode_client as decode_client_records,
};
pub use self::server::TlsServer;
use self::{sessions::Sessions, target::TargetTls, verifier::NodeVerifier};
use super::client_hello::{self, Hello, OwnHello, Shape, cause_of};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError};

/// The most configurations kept; nodes with rarer settings share nothing and resume nothing.
const MOST_CONFIGS: usize = 1024;

/// Client configurations that nodes with equal settings share. Cheap to clone.
#[derive(Clone)]
pub struct TlsClients(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    /// Verifies against the public roots and the extra ones; absent when there is no root at all.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    configs: Mutex<HashMap<Key, Arc<ClientConfig>>>,
    /// What all configurations resume.
    sessions: Sessions,
    /// TLS with targets, made on first use.
    target: OnceLock<TargetTls>,
    /// Whether a node that is met with a browser's hello may be met with rustls' own.
    own_hello: Arc<AtomicBool>,
}

/// The settings that a configuration depends on. The server's name is not among them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Key {
    alpn: Vec<Box<str>>,
    disable_sni: bool,
    skip_verify: bool,
    pins: Vec<Pin>,
    verify_names: Vec<Box<str>>,
    /// The browser whose hello leaves, if any.
    fingerprint: Option<Fingerprint>,
    ech: Option<Box<str>>,
}

impl Key {
    fn shape(&self) -> Shape {
        self.fingerprint.map_or(Shape::Own, |fingerprint| Shape::Browser(client_hello::template_of(fingerprint)))
    }
}

impl TlsClients {
    /// Trusts the public roots (Mozilla's) and `extra_roots` (DER); an extra root that cannot be read is left out.
    #[must_use]
    pub fn new(extra_roots: &[CertificateDer<'static>]) -> Self {
        Self::with(extra_roots, true)
    }

    /// The same; unless `own_hello`, a node that is met with a browser's hello is never met with rustls' own.
    pub(crate) fn with(extra_roots: &[CertificateDer<'static>], own_hello: bool) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in extra_roots {
            if let Err(error) = roots.add(root.clone()) {
                tracing::warn!(%error, "an extra root certificate cannot be read");
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        Self(Arc::new(Inner {
            provider,
            verifier: verifier.ok(),
            configs: Mutex::default(),
            sessions: Sessions::default(),
            target: OnceLock::new(),
            own_hello: Arc::new(AtomicBool::new(own_hello)),
        }))
    }

    /// When a node that needs the connection more than the hello is met with rustls' own.
    pub(super) fn own_hello_rule(&self) -> OwnHello {
        OwnHello::when_needed(Arc::clone(&self.0.own_hello))
    }

    /// Whether a node that is met with a browser's hello may be met with rustls' own from now on, also where it is in use.
    pub fn allow_own_hello(&self, allowed: bool) {
        self.0.own_hello.store(allowed, Ordering::Relaxed);
    }

    /// Secures a stream to a target itself, whose certificate is checked against the roots.
    ///
    /// # Errors
    /// [`DialError`] at the exchange stage: [`Cause::Certificate`], [`Cause::Tls`] or a failure of the stream.
    pub async fn wrap_target(
        &self,
        stream: BoxStream,
        target: &Host,
        attempt: &Attempt,
    ) -> Result<BoxStream, DialError> {
        let made = match self.0.target.get() {
            Some(made) => made,
            None => {
                let made = TargetTls::new(&self.0.provider, self.verifier(&Tls::default()));
                let made = made.map_err(|error| DialError::new(Stage::Exchange, target::refused(&error)))?;
                self.0.target.get_or_init(|| made)
            }
        };
        attempt.stage(Stage::Exchange, made.secure(stream, target)).await
    }

    /// The sessions that can be resumed.
    #[cfg(test)]
    fn sessions(&self) -> &Sessions {
        &self.0.sessions
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

    /// Runs the handshake on `stream`, with a browser's hello if one is named. `default_alpn` is offered when the node names no
    /// protocols of its own.
    ///
    /// # Errors
    /// [`DialError`] at the security stage: [`Cause::Certificate`], [`Cause::Tls`], a failure of the stream, or [`Cause::Hello`] when
    /// rustls cannot follow up a browser's hello with this server.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        tls: &Tls,
        server: &Host,
        default_alpn: &[&str],
        fingerprint: Option<Fingerprint>,
        attempt: &Attempt,
    ) -> Result<Handshaken<S>, DialError> {
        let failed = |error: rustls::Error| DialError::new(Stage::Security, Cause::Tls(error.to_string().into()));
        let (config, shape) = self.shaped_config(tls, default_alpn, fingerprint).map_err(failed)?;
        let name = name::to_send(tls, server);
        if matches!(shape, Shape::Own) {
            let connection = UnbufferedClientConnection::new(config, name).map_err(failed)?;
            let own = async { handshake(connection, stream).await.map_err(|error| cause_of(error, shape)) };
            return attempt.stage(Stage::Security, own).await;
        }
        let hello = Hello::new(shape, config, name, None).map_err(failed)?;
        attempt.stage(Stage::Security, hello.connect(stream)).await
    }

    /// Checks what can be wrong with the settings before they are used.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for an ECH configuration that cannot be used.
    pub(super) fn check(tls: &Tls) -> Result<(), BuildError> {
        let unusable = |_| BuildError::Invalid("ech is no ECHConfigList that can be used");
        ech::published(tls).map_or(Ok(()), |published| ech::mode(&published).map(drop).map_err(unusable))
    }

    /// What checks certificates as these settings say.
    pub(super) fn verifier(&self, tls: &Tls) -> Arc<dyn ServerCertVerifier> {
        let key = Key {
            skip_verify: tls.skip_verify,
            pins: tls.pins.clone(),
            verify_names: tls.verify_names.clone(),
            ..Key::default()
        };
        Arc::new(NodeVerifier::new(self.0.verifier.clone(), Arc::clone(&self.0.provider), &key))
    }

    /// The configuration for these settings, with rustls' own hello.
    fn config(&self, tls: &Tls, default_alpn: &[&str]) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.shaped_config(tls, default_alpn, None).map(|(config, _)| config)
    }

    /// The configuration for these settings, with a browser's hello if one is named.
    fn shaped_config(
        &self,
        tls: &Tls,
        default_alpn: &[&str],
        fingerprint: Option<Fingerprint>,
    ) -> Result<(Arc<ClientConfig>, Shape), rustls::Error> {
        let ech = ech::published(tls);
        let browsers = fingerprint.map_or(&[][..], |fingerprint| client_hello::template_of(fingerprint).alpn);
        let default_alpn = if default_alpn.is_empty() { browsers } else { default_alpn };
        let default = || default_alpn.iter().map(|name| Box::from(*name)).collect();
        let key = Key {
            alpn: if tls.alpn.is_empty() { default() } else { tls.alpn.clone() },
            disable_sni: tls.disable_sni,
            skip_verify: tls.skip_verify,
            pins: tls.pins.clone(),
            verify_names: tls.verify_names.clone(),
            fingerprint: fingerprint.filter(|_| ech.is_none()),
            ech,
        };
        let shape = key.shape();
        if let Some(config) = self.0.configs.lock().get(&key) {
            return Ok((Arc::clone(config), shape));
        }
        let mut config = self.new_config(&key)?;
        let mut configs = self.0.configs.lock();
        if configs.len() < MOST_CONFIGS {
            return Ok((Arc::clone(configs.entry(key).or_insert_with(|| Arc::new(config))), shape));
        }
        // It lives for one connection: nobody would ever take up its sessions.
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), shape))
    }

    fn new_config(&self, key: &Key) -> Result<ClientConfig, rustls::Error> {
        let provider = &self.0.provider;
        let verifier = Arc::new(NodeVerifier::new(self.0.verifier.clone(), Arc::clone(provider), key));
        let alpn = client_hello::alpn(&key.alpn);
        let shape = key.shape();
        let mut config = match shape {
            Shape::Browser(_) => client_hello::config(shape, verifier, &alpn)?,
            Shape::Own => {
                let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
                let builder = match &key.ech {
                    Some(published) => builder.with_ech(ech::mode(published)?)?,
                    None => builder.with_safe_default_protocol_versions()?,
                };
                let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
                let mut config = builder.with_no_client_auth();
                config.alpn_protocols = alpn;
                config.enable_secret_extraction = true;
                config.resumption = Resumption::store(self.0.sessions.for_configuration());
                config
            }
        };
        config.enable_sni = !key.disable_sni;
        Ok(config)
    }
}

/// What accepts certificates of one authority, for tests of other hellos.
#[cfg(test)]
pub(super) fn trusting(root: &CertificateDer<'static>) -> Arc<dyn ServerCertVerifier> {
    TlsClients::new(std::slice::from_ref(root)).verifier(&Tls::default())
}

impl fmt::Debug for TlsClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClients").finish_non_exhaustive()
    }
}
