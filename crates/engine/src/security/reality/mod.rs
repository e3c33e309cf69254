//! REALITY (github.com/XTLS/REALITY): TLS 1.3 to a server that looks like another site to everybody but its clients.
//!
//! The client authenticates in the session id of its hello ([`auth`]). A server that knows the secret answers with a
//! certificate that only it can make ([`certificate`]). Anybody else who answers is the real site. It is visited as a browser
//! would do it, and the connection fails; no byte of a proxy protocol is sent to it.

mod auth;
mod certificate;
pub(crate) mod server;
#[cfg(test)]
mod tests;
mod verifier;

use std::{cell::RefCell, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hezar_core::{Host, Reality, Secret, ShortId, Stage, Tls};
use rustls::client::danger::ServerCertVerifier;
use zeroize::Zeroizing;

use self::{
    auth::AuthKey,
    verifier::{Hellos, OrRealSite, Proof},
};
use super::{
    TlsClients,
    client_hello::{Agree, Browser, Hello, OwnHello},
    decoy,
    tls::{TlsStream, name},
};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError};

/// The length of an ML-DSA-65 public key.
const ML_DSA_65_KEY: usize = 1952;

/// The REALITY settings of one node.
#[derive(Debug)]
pub(crate) struct RealityClient {
    browser: Browser,
    public_key: [u8; 32],
    short_id: ShortId,
    ml_dsa: Option<Arc<[u8]>>,
    spider_x: Box<str>,
    sites: Arc<dyn ServerCertVerifier>,
}

impl RealityClient {
    /// The client for these settings.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when the ML-DSA-65 key is none.
    pub(crate) fn new(settings: &Reality, server: &Host, clients: &TlsClients) -> Result<Self, BuildError> {
        let name = name::server_name(settings.server_name.as_deref(), server);
        Ok(Self {
            browser: Browser::new(name, settings.fingerprint, &settings.alpn, OwnHello::only_when(settings.own_hello)),
            public_key: settings.public_key,
            short_id: settings.short_id,
            ml_dsa: settings.mldsa65_verify.as_ref().map(ml_dsa_key).transpose()?,
            spider_x: settings.spider_x.clone().unwrap_or_default(),
            sites: clients.verifier(&Tls::default()),
        })
    }

    /// Runs the handshake. The stream that comes back leads to the REALITY server and to nobody else.
    ///
    /// # Errors
    /// [`DialError`] at the security stage: [`Cause::Authentication`] when a real site answered, [`Cause::Certificate`]
    /// when somebody else did, [`Cause::Hello`] when a site said what only the browser understands.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<TlsStream, DialError> {
        attempt.stage(Stage::Security, self.handshake(stream)).await
    }

    async fn handshake(&self, stream: BoxStream) -> Result<TlsStream, Cause> {
        let verifier = Arc::new(OrRealSite::new(Arc::clone(&self.sites)));
        let stream = self.browser.connect(self.hello(&verifier)?, stream).await?.secured();
        if verifier.met_reality() {
            return Ok(stream);
        }
        decoy::visit(stream, &self.browser.name().to_str(), &self.spider_x);
        Err(Cause::Authentication)
    }

    /// The hello of one connection; `verifier` learns what answers it.
    fn hello(&self, verifier: &Arc<OrRealSite>) -> Result<Hello, Cause> {
        let shared = RefCell::new(AuthKey::default());
        let seal = |keys: &dyn Agree, random: &[u8; 32], message: &[u8]| {
            let key = auth::key(&Zeroizing::new(keys.agree(&self.public_key)?), random)?;
            let id = auth::session_id(&key, random, message, self.short_id, auth::unix_time());
            shared.replace(key);
            id
        };
        let hello = self.browser.hello(Arc::<OrRealSite>::clone(verifier), &seal)?;
        let ml_dsa = self.ml_dsa.as_ref().map(|public| {
            let hellos = Hellos { client: hello.message().into(), server: Arc::clone(&hello.answer) };
            (Arc::clone(public), hellos)
        });
        verifier.expect(Proof { key: shared.into_inner(), ml_dsa });
        Ok(hello)
    }
}

/// Whether this is a certificate that a REALITY server might show.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_certificate(der: &[u8]) -> bool {
    certificate::Certificate::parse(der).is_some()
}

/// Reads a `pqv`.
fn ml_dsa_key(published: &Secret) -> Result<Arc<[u8]>, BuildError> {
    let text = published.expose().trim_end_matches('=');
    let key = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).unwrap_or_default();
    if key.len() == ML_DSA_65_KEY { Ok(key.into()) } else { Err(BuildError::Invalid("pqv is not an ML-DSA-65 key")) }
}
