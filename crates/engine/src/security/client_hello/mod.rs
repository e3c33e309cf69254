//! A chosen ClientHello on unmodified rustls: that of a browser, or rustls' own with a chosen session id.
//!
//! rustls builds its hello as always, with values that we chose beforehand ([`scripted_rng`]); another hello with the
//! same random, session id and key shares leaves in its place ([`rewriter`]), and is what the transcript hashes
//! ([`transcript`]). When the server asks for another key share, the hello that follows is made of the first one
//! ([`retry`]). Everything else that the server answers is rustls' business, as far as rustls knows the extensions that
//! the other hello offers.

mod brotli;
mod browser;
mod cause;
mod grease;
#[cfg(test)]
pub(crate) mod ja4;
mod keys;
mod own;
mod retry;
mod rewriter;
mod scripted_rng;
mod template;
#[cfg(test)]
mod tests;
mod transcript;
mod wire;

use std::{
    io,
    sync::{Arc, LazyLock},
};

use rustls::{
    ClientConfig, ClientConnection, Error, NamedGroup,
    client::{Resumption, UnbufferedClientConnection, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "fuzzing")]
pub(crate) use self::rewriter::find_server_hello;
pub(crate) use self::{
    browser::Browser,
    cause::cause_of,
    keys::agreed,
    own::OwnHello,
    retry::{HELLO_HEAD, is_retry, random_of},
    rewriter::{HelloRewriter, ServerHello},
    template::{Template, template_of},
    wire::{ALPN, KEY_SHARES, SERVER_NAME, SESSION_ID, VERSIONS, X25519, X25519_MLKEM768},
};
use self::{keys::Keys, scripted_rng::ScriptedRng, transcript::Substitute, wire::Fields};
use super::tls::{Handshaken, handshake};
use crate::Cause;

/// Which hello is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A browser's.
    Browser(&'static Template),
    /// rustls' own.
    Own,
}

/// Protocol names as they are offered. RFC 7301 §3.1: a name has 1 to 255 bytes; others cannot be sent.
pub(crate) fn alpn(names: &[impl AsRef<str>]) -> Vec<Vec<u8>> {
    let names = names.iter().map(|name| name.as_ref().as_bytes());
    names.filter(|name| (1..=255).contains(&name.len())).map(<[u8]>::to_vec).collect()
}

/// A configuration for [`Hello::new`]: no resumption, since a hello of ours carries no tickets.
///
/// # Errors
/// Never, unless rustls changes what it asks of a provider.
pub(crate) fn config(
    shape: Shape,
    verifier: Arc<dyn ServerCertVerifier>,
    alpn: &[Vec<u8>],
) -> Result<ClientConfig, Error> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        let tls12 = provider.cipher_suites.iter().copied().filter(|suite| suite.tls13().is_none());
        provider.cipher_suites = transcript::suites().into_iter().chain(tls12).collect();
        let others = [NamedGroup::X25519MLKEM768, NamedGroup::X25519];
        provider.kx_groups.retain(|group| !others.contains(&group.name()));
        provider.kx_groups.splice(0..0, [&keys::Hybrid as _, &keys::Classical as _]);
        provider.secure_random = &scripted_rng::Scripted;
        Arc::new(provider)
    });
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER));
    let builder = match shape {
        // Without TLS 1.2: its transcript does not know the other hello.
        Shape::Browser(_) => builder.with_ech(grease::mode())?,
        Shape::Own => builder.with_safe_default_protocol_versions()?,
    };
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = alpn.to_vec();
    config.enable_secret_extraction = true;
    config.resumption = Resumption::disabled();
    if matches!(shape, Shape::Browser(_)) {
        config.cert_decompressors = vec![&brotli::Brotli];
    }
    Ok(config)
}

/// Gives the session id of a hello, from its keys, its random and the whole message with an empty session id.
pub(crate) type Seal<'a> = &'a dyn Fn(&dyn Agree, &[u8; 32], &[u8]) -> Result<[u8; 32], Error>;

/// A key that agrees on a secret with another one.
pub(crate) trait Agree {
    /// The X25519 secret.
    ///
    /// # Errors
    /// When the other key is no point to agree with.
    fn agree(&self, theirs: &[u8; 32]) -> Result<[u8; 32], Error>;
}

impl Agree for Keys {
    fn agree(&self, theirs: &[u8; 32]) -> Result<[u8; 32], Error> {
        self.x25519(theirs)
    }
}

/// A hello that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Hello {
    shape: Shape,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    script: ScriptedRng,
    message: Vec<u8>,
    /// The server's answer to it.
    pub(crate) answer: ServerHello,
}

impl Hello {
    /// Builds a hello for `name`; `seal` gives its session id, which is random without.
    ///
    /// # Errors
    /// When the system has no randomness, `seal` fails, or rustls builds its hello in an unknown way.
    pub(crate) fn new(
        shape: Shape,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        seal: Option<Seal<'_>>,
    ) -> Result<Self, Error> {
        let keys = match shape {
            Shape::Browser(_) => Keys::like_a_browser()?,
            Shape::Own => Keys::like_rustls()?,
        };
        let mut script = ScriptedRng::new(Arc::new(keys))?;
        if seal.is_some() {
            script.session_id = [0; 32];
        }
        let mut message = match shape {
            Shape::Browser(template) => written(template, &script, &config, &name)?,
            Shape::Own if seal.is_some() => own(&script, &config, &name)?,
            Shape::Own => Vec::new(),
        };
        if let Some(seal) = seal {
            check_layout(&message, &script.random)?;
            script.session_id = seal(&*script.keys, &script.random, &message)?;
            message.get_mut(SESSION_ID).unwrap_or_default().copy_from_slice(&script.session_id);
        }
        Ok(Self { shape, config, name, script, message, answer: ServerHello::default() })
    }

    /// Whose hello it is.
    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// The whole message, as it is sent.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Runs the handshake with this hello over `stream`.
    ///
    /// # Errors
    /// As [`cause_of`] tells: [`Cause::Hello`] when rustls cannot follow up a browser's hello with this server.
    pub(crate) async fn connect<S>(self, stream: S) -> Result<Handshaken<S>, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shape = self.shape;
        self.handshake(stream).await.map_err(|error| cause_of(error, shape))
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) -> io::Result<Handshaken<S>> {
        // The other hello is hashed as long as this lives.
        let (stream, _substitute) = match self.shape {
            Shape::Browser(_) => {
                let (random, hello) = (self.script.random, Arc::<[u8]>::from(self.message));
                let substitute = Substitute::put(random, Arc::clone(&hello));
                (HelloRewriter::replacing(stream, random, hello, self.answer), Some(substitute))
            }
            Shape::Own => (HelloRewriter::listening(stream, self.answer), None),
        };
        let connection = self.script.play(|| UnbufferedClientConnection::new(self.config, self.name));
        let connection = connection.and_then(|built| built).map_err(io::Error::other)?;
        Ok(handshake(connection, stream).await?.over(HelloRewriter::into_inner))
    }
}

/// A browser's hello.
fn written(
    template: &Template,
    script: &ScriptedRng,
    config: &ClientConfig,
    name: &ServerName<'_>,
) -> Result<Vec<u8>, Error> {
    let server_name = match name {
        ServerName::DnsName(name) if config.enable_sni => Some(name.as_ref()),
        _ => None,
    };
    let fields = Fields {
        random: &script.random,
        session_id: &script.session_id,
        server_name,
        alpn: &config.alpn_protocols,
        hybrid: script.keys.hybrid_share(),
        x25519: script.keys.x25519_share(),
        ech: &keys::public_key_of_nobody()?,
    };
    Ok(wire::hello(template, &fields, &mut rand::rng()))
}

/// The hello that rustls will build with this script.
fn own(script: &ScriptedRng, config: &Arc<ClientConfig>, name: &ServerName<'static>) -> Result<Vec<u8>, Error> {
    let mut connection = script.clone().play(|| ClientConnection::new(Arc::clone(config), name.clone()))??;
    let mut record = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut record).map_err(|error| Error::General(error.to_string()))?;
    }
    Ok(record.split_off(5.min(record.len())))
}

/// Whether this is one ClientHello whose session id stands where it is about to be written.
fn check_layout(message: &[u8], random: &[u8; 32]) -> Result<(), Error> {
    let length = message.get(1..4).map(|length| length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)));
    let known = message.first() == Some(&1)
        && length.is_some_and(|length| length + 4 == message.len())
        && message.get(6..38) == Some(random)
        && message.get(38) == Some(&32)
        && message.get(SESSION_ID) == Some(&[0; 32]);
    if known { Ok(()) } else { Err(Error::General("a ClientHello of an unknown layout".into())) }
}
