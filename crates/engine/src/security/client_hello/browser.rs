//! A TLS handshake as a browser performs it, which REALITY and ShadowTLS imitate apart from the session id.

use std::sync::Arc;

use hezar_core::Fingerprint;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Hello, OwnHello, Seal, Shape, Template, alpn, config, template_of};
use crate::{Cause, security::tls::Handshaken};

/// One node's browser.
#[derive(Debug)]
pub(crate) struct Browser {
    name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
    template: &'static Template,
    pub(in crate::security) own_hello: OwnHello,
}

impl Browser {
    /// Asks for `name`. Chrome unless the node says another one; offers the browser's protocols unless the node says
    /// which. `own_hello` says when the hello is not the browser's.
    pub(crate) fn new(
        name: ServerName<'static>,
        fingerprint: Option<Fingerprint>,
        protocols: &[Box<str>],
        own_hello: OwnHello,
    ) -> Self {
        let template = template_of(fingerprint.unwrap_or(Fingerprint::Chrome));
        let alpn = if protocols.is_empty() { alpn(template.alpn) } else { alpn(protocols) };
        Self { name, alpn, template, own_hello }
    }

    /// The name of the site.
    pub(crate) const fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// The hello of one connection; `seal` gives its session id.
    ///
    /// # Errors
    /// [`Cause::Tls`] as [`Hello::new`].
    pub(crate) fn hello(&self, verifier: Arc<dyn ServerCertVerifier>, seal: Seal<'_>) -> Result<Hello, Cause> {
        let shape = if self.own_hello.is_due() { Shape::Own } else { Shape::Browser(self.template) };
        let config = config(shape, verifier, &self.alpn).map(Arc::new);
        let hello = config.and_then(|config| Hello::new(shape, config, self.name.clone(), Some(seal)));
        hello.map_err(|error| Cause::Tls(error.to_string().into()))
    }

    /// Runs the handshake with a hello of [`Browser::hello`] over `stream`.
    ///
    /// # Errors
    /// As [`Hello::connect`].
    pub(crate) async fn connect<S>(&self, hello: Hello, stream: S) -> Result<Handshaken<S>, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let sent = hello.shape();
        let result = hello.connect(stream).await;
        self.own_hello.learn(sent, result.as_ref().err());
        result
    }
}
