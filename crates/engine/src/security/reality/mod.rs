//! REALITY (github.com/XTLS/REALITY): TLS 1.3 to a server that looks like another site to everybody but its clients.
//!
//! The client shows itself in the session id of its hello ([`auth`]); a server that knows the secret answers with a
//! certificate that only it can make ([`certificate`]). Whoever else answers is the real site: it is visited as a browser
//! would, and the connection fails. Not one byte of a proxy protocol goes to it.

mod auth;
mod certificate;
#[cfg(test)]
pub(crate) mod peer;
#[cfg(test)]
mod tests;
mod verifier;

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hezar_core::{Fingerprint, Host, Reality, Secret, ShortId, Stage};
use rustls::{ClientConfig, Error, client::WebPkiServerVerifier};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use self::{
    auth::AuthKey,
    certificate::Certificate,
    verifier::{Hellos, OrRealSite, Proof},
};
use super::{
    TlsClients,
    hello::{self, Agree, Hello, Shape, Swapped, Template},
    tls::{cause_of, name},
    visit,
};
use crate::{Attempt, BuildError, Cause, DialError};

/// The length of an ML-DSA-65 public key.
const ML_DSA_65_KEY: usize = 1952;

/// One node's REALITY.
#[derive(Debug)]
pub(crate) struct RealityClient {
    name: ServerName<'static>,
    public_key: [u8; 32],
    short_id: ShortId,
    ml_dsa: Option<Arc<[u8]>>,
    alpn: Vec<Vec<u8>>,
    spider_x: Box<str>,
    template: &'static Template,
    /// Whether a browser's hello has failed here for a reason that rustls' own does not have.
    own_hello: AtomicBool,
    roots: Option<Arc<WebPkiServerVerifier>>,
}

impl RealityClient {
    /// The client for these settings.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when the ML-DSA-65 key is none.
    pub(crate) fn new(settings: &Reality, server: &Host, clients: &TlsClients) -> Result<Self, BuildError> {
        let template = hello::template_of(settings.fingerprint.unwrap_or(Fingerprint::Chrome));
        let browsers = template.alpn.iter().map(|name| name.as_bytes().to_vec());
        // RFC 7301 §3.1: a name has 1 to 255 bytes; others cannot be sent.
        let sendable = settings.alpn.iter().filter(|name| (1..=255).contains(&name.len()));
        let named = sendable.map(|name| name.as_bytes().to_vec());
        Ok(Self {
            name: name::of(settings.server_name.as_deref(), server),
            public_key: settings.public_key,
            short_id: settings.short_id,
            ml_dsa: settings.mldsa65_verify.as_ref().map(ml_dsa_key).transpose()?,
            alpn: if settings.alpn.is_empty() { browsers.collect() } else { named.collect() },
            spider_x: settings.spider_x.clone().unwrap_or_default(),
            template,
            own_hello: AtomicBool::new(settings.own_hello),
            roots: clients.roots(),
        })
    }

    /// Runs the handshake. What comes back leads to the REALITY server and to nobody else.
    ///
    /// # Errors
    /// [`DialError`] at the security stage: [`Cause::Authentication`] when a real site answered, [`Cause::Certificate`]
    /// when somebody else did, [`Cause::Hello`] when another try has another hello.
    pub(crate) async fn wrap<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        &self,
        stream: S,
        attempt: &Attempt,
    ) -> Result<TlsStream<Swapped<S>>, DialError> {
        attempt.stage(Stage::Security, self.handshake(stream)).await
    }

    async fn handshake<S>(&self, stream: S) -> Result<TlsStream<Swapped<S>>, Cause>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let own = self.own_hello.load(Ordering::Relaxed);
        let shape = if own { Shape::Own } else { Shape::Browser(self.template) };
        let verifier = Arc::new(OrRealSite::new(self.roots.clone()));
        let (hello, config) = self.prepare(shape, &verifier).map_err(|error| Cause::Tls(error.to_string().into()))?;
        let stream = match hello.connect(config, self.name.clone(), stream).await {
            Ok(stream) => stream,
            Err(error) => {
                let cause = cause_of(error, shape);
                if matches!(cause, Cause::Hello(_)) {
                    self.own_hello.store(true, Ordering::Relaxed);
                }
                return Err(cause);
            }
        };
        if verifier.met_reality() {
            return Ok(stream);
        }
        visit::visit(stream, &self.name.to_str(), &self.spider_x);
        Err(Cause::Authentication)
    }

    /// The hello and the configuration of one connection.
    fn prepare(&self, shape: Shape, verifier: &Arc<OrRealSite>) -> Result<(Hello, Arc<ClientConfig>), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // The server counts in 32 bits too.
        let now = u32::try_from(now & u64::from(u32::MAX)).unwrap_or_default();
        let key = Cell::new(AuthKey::default());
        let seal = |keys: &dyn Agree, random: &[u8; 32], message: &[u8]| {
            key.set(auth::key(&keys.agree(&self.public_key)?, random)?);
            auth::session_id(&key.get(), random, message, self.short_id, now)
        };
        let config = Arc::new(hello::config(shape, Arc::<OrRealSite>::clone(verifier), &self.alpn)?);
        let hello = Hello::new(shape, &config, &self.name, Some(&seal))?;
        let ml_dsa = self.ml_dsa.as_ref().map(|public| {
            let hellos = Hellos { client: hello.message().into(), server: Arc::clone(&hello.answer) };
            (Arc::clone(public), hellos)
        });
        verifier.expect(Proof { key: key.get(), ml_dsa });
        Ok((hello, config))
    }
}

/// Whether this is a certificate that a REALITY server might show.
pub(crate) fn read_certificate(der: &[u8]) -> bool {
    Certificate::parse(der).is_some()
}

/// Reads a `pqv`.
fn ml_dsa_key(published: &Secret) -> Result<Arc<[u8]>, BuildError> {
    let text = published.expose().trim_end_matches('=');
    let key = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).unwrap_or_default();
    if key.len() == ML_DSA_65_KEY { Ok(key.into()) } else { Err(BuildError::Invalid("pqv is not an ML-DSA-65 key")) }
}
