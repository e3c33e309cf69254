//! Shadowsocks, both sides: the AEAD ciphers of 2017 and of 2022, the old stream ciphers, and no cipher at all.
//!
//! The framing is written here. The `shadowsocks` crate is not used, because its stream loses bytes when a writer grows its
//! buffer while a write is pending, and refuses a 2022 answer whose header arrives in two pieces (ADR 5).

mod aead2017;
mod aead2022;
mod aes_block;
mod datagram;
#[cfg(feature = "stream-cipher")]
mod legacy;
mod packet2022;
mod plugin;
mod replay;
pub(crate) mod server;
mod wire;
mod xchacha;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use hezar_core::{Shadowsocks, Stage, Target};
use rand::{Rng, RngExt};

use self::{
    aead2022::{KeyError, Keys},
    datagram::ShadowsocksDatagram,
    plugin::{Disguise, Plan},
    wire::{Aead, Method},
};
use super::{
    address::put_socks,
    packets::Packets,
    uot::{self, Uot},
};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, Cause, DialError, Dialer,
    io::{
        codec_stream::CodecStream,
        header_stream::{HeaderStream, NoHead},
    },
    quic::SharedClients,
    security::{Secure, ShadowTlsClient},
    transport::TransportConnector,
};

/// What connects to the server. A plugin may stand for a transport, or for the security layer.
///
/// # Errors
/// [`BuildError::Unsupported`] for plugins that are not built, [`BuildError::Invalid`] for settings they do not allow.
pub(crate) fn connector(
    settings: &Shadowsocks,
    server: &Target,
    via: Arc<dyn Dialer>,
    clients: &SharedClients,
) -> Result<TransportConnector, BuildError> {
    match plugin::plan(settings.plugin.as_deref())? {
        Plan::Around(carrier, _) => TransportConnector::new(server, &carrier, via, clients),
        Plan::ShadowTls(site, password) => {
            let client = ShadowTlsClient::new(&site, password, server.host(), &clients.tls);
            Ok(TransportConnector::secured(server, Secure::ShadowTls(Box::new(client)), via, clients))
        }
    }
}

/// Builds the dialer; `connector` comes from the function [`connector`].
///
/// # Errors
/// [`BuildError::Unsupported`] for unknown plugins and methods, [`BuildError::Invalid`] for keys that the method does
/// not allow.
pub(crate) fn build(settings: &Shadowsocks, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let disguise = plugin::plan(settings.plugin.as_deref())?.disguise();
    let cipher = cipher(&settings.method, settings.password.expose())?;
    Ok(Arc::new(ShadowsocksDialer { cipher, disguise, datagrams: Carriage::from_settings(settings), connector }))
}

/// Decodes what comes back through a plugin, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode_plugins(data: &[u8]) {
    plugin::decode(data);
}

/// A method with its keys.
enum Cipher {
    None,
    Aead(Aead, Box<[u8]>),
    Aead2022(Keys),
    #[cfg(feature = "stream-cipher")]
    Legacy(legacy::LegacyKey),
}

fn cipher(method: &str, password: &str) -> Result<Cipher, BuildError> {
    match Method::new(method) {
        Some(Method::None) => Ok(Cipher::None),
        Some(Method::Aead(cipher)) => {
            let key = wire::password_key(password, cipher.key_length());
            Ok(Cipher::Aead(cipher, key.into()))
        }
        Some(Method::Aead2022(cipher)) => match Keys::new(cipher, password) {
            Ok(keys) => Ok(Cipher::Aead2022(keys)),
            Err(KeyError::Encoding) => Err(BuildError::Invalid("a Shadowsocks 2022 key is not base64")),
            Err(KeyError::Length) => Err(BuildError::Invalid("a Shadowsocks 2022 key has a wrong length")),
            Err(KeyError::Chain) => {
                Err(BuildError::Invalid("2022-blake3-chacha20-poly1305 allows one key, not a chain of them"))
            }
        },
        None => legacy_cipher(method, password),
    }
}

#[cfg(feature = "stream-cipher")]
fn legacy_cipher(method: &str, password: &str) -> Result<Cipher, BuildError> {
    let key = legacy::LegacyKey::new(method, password);
    key.map(Cipher::Legacy).ok_or(BuildError::Unsupported("this Shadowsocks method"))
}

#[cfg(not(feature = "stream-cipher"))]
fn legacy_cipher(_: &str, _: &str) -> Result<Cipher, BuildError> {
    Err(BuildError::Unsupported("this Shadowsocks method"))
}

/// Dials targets through one Shadowsocks server.
struct ShadowsocksDialer {
    cipher: Cipher,
    disguise: Disguise,
    datagrams: Carriage,
    connector: TransportConnector,
}

impl fmt::Debug for ShadowsocksDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowsocksDialer").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for ShadowsocksDialer {
    /// The server does not answer a request by itself, so a wrong password shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let mut address = Vec::new();
        put_socks(target, &mut address);
        self.open(address, attempt).await
    }

    /// The server sends nothing before the first answer of a target. Only then it shows whether the server is there, unless a
    /// stream carries the datagrams.
    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let failed = |cause| DialError::new(Stage::Handshake, cause);
        match self.datagrams {
            Carriage::Stream => {
                let stream = self.open(uot::address(), attempt).await?;
                Ok(Box::new(Packets::new(stream, Uot::unopened())))
            }
            Carriage::Beside => {
                let outer = self.connector.via().associate(attempt).await?;
                let server = self.connector.server().clone();
                Ok(Box::new(ShadowsocksDatagram::new(&self.cipher, server, outer).map_err(failed)?))
            }
            Carriage::Nowhere => Err(failed(Cause::Unsupported("datagrams beside a plugin's disguise"))),
        }
    }
}

/// How datagrams go to the server.
#[derive(Clone, Copy, Debug)]
enum Carriage {
    /// They are packed into a stream.
    Stream,
    /// They are sent as datagrams.
    Beside,
    /// They cannot go there: the plugin disguises streams only.
    Nowhere,
}

impl Carriage {
    const fn from_settings(settings: &Shadowsocks) -> Self {
        match (settings.udp_over_tcp, &settings.plugin) {
            (true, _) => Self::Stream,
            (false, None) => Self::Beside,
            (false, Some(_)) => Self::Nowhere,
        }
    }
}

impl ShadowsocksDialer {
    async fn open(&self, address: Vec<u8>, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.connector.open(attempt).await?;
        let stream = self.disguise.wrap(stream, &self.connector.server().host().to_string());
        self.speak(stream, address).map_err(|cause| DialError::new(Stage::Handshake, cause))
    }

    fn speak(&self, stream: BoxStream, address: Vec<u8>) -> Result<BoxStream, Cause> {
        Ok(match &self.cipher {
            Cipher::None => Box::new(HeaderStream::new(stream, address, NoHead)),
            Cipher::Aead(cipher, key) => {
                let salt = random(cipher.key_length());
                Box::new(CodecStream::new(stream, aead2017::Aead2017Codec::new(*cipher, key, address, salt)?))
            }
            Cipher::Aead2022(keys) => {
                let salt = random(keys.length());
                let padding = random(usize::from(rand::rng().random_range(1..=aead2022::MAX_PADDING)));
                Box::new(CodecStream::new(
                    stream,
                    aead2022::Aead2022Codec::new(keys.clone(), address, salt, padding, unix_now)?,
                ))
            }
            #[cfg(feature = "stream-cipher")]
            Cipher::Legacy(key) => {
                let iv = random(key.iv_length());
                Box::new(CodecStream::new(stream, legacy::LegacyCodec::new(key.clone(), address, iv)))
            }
        })
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// The time in Unix seconds; 0 when the clock shows a time before 1970, which servers refuse.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
