//! Shadowsocks, Trojan and VLESS without TLS, by the server halves of the program itself.

use std::{fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hezar_engine::{
    BoxStream, BuildError, Prefixed,
    server::{
        CredentialId, CurrentKeyring, InboundKey, InboundRequest, InboundServer, InboundSettings, Keyring, KeyringKind,
        Opening, RequestRefusal, ServerProtocol, ServerSecurity, ServerTransport, ShadowsocksServer, StreamRequest,
    },
};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio_util::either::Either;

use super::{Accepted, ServerPolicy, Tunnel, Wire, swallow};
use crate::{Kind, link::Credential};

/// The server half of one server, which remembers what it has seen, and the one credential that it knows.
pub(crate) struct ServerHalf {
    server: InboundServer,
    keyring: CurrentKeyring,
}

impl ServerHalf {
    /// The half for a kind; `None` where the lab speaks the protocol by itself.
    ///
    /// # Errors
    /// [`BuildError`]: the credential is of another kind.
    pub(crate) fn new(kind: Kind, credential: &Credential) -> Result<Option<Self>, BuildError> {
        let password = credential.password.as_bytes();
        let (protocol, keyring, key) = match kind {
            Kind::Trojan => (ServerProtocol::Trojan, KeyringKind::Trojan, InboundKey::new(password)),
            Kind::Vless => (ServerProtocol::Vless, KeyringKind::Vless, InboundKey::new(credential.id.into_bytes())),
            Kind::ShadowsocksAes128 | Kind::ShadowsocksChacha20 | Kind::Shadowsocks2022 => {
                let (own, user) = credential.password.split_once(':').unwrap_or_default();
                let server = ShadowsocksServer::new(kind.method().unwrap_or_default(), own)?;
                let (keyring, key) = if kind == Kind::Shadowsocks2022 {
                    (KeyringKind::Shadowsocks2022, InboundKey::new(STANDARD.decode(user).unwrap_or_default()))
                } else {
                    (KeyringKind::Shadowsocks, InboundKey::new(password))
                };
                (ServerProtocol::Shadowsocks(server), keyring, key)
            }
            _ => return Ok(None),
        };
        let settings = InboundSettings { protocol, transport: ServerTransport::Tcp, security: ServerSecurity::None };
        let keyring = Keyring::new(keyring, [(CredentialId(0), key)]).into();
        Ok(Some(Self { server: InboundServer::new(settings), keyring }))
    }
}

impl fmt::Debug for ServerHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHalf").field("server", &self.server).finish_non_exhaustive()
    }
}

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>) -> Accepted {
    let Some(ServerHalf { server, keyring }) = policy.half else { return Err(io::ErrorKind::Unsupported.into()) };
    if policy.refuse {
        swallow(&mut wire).await?;
        return Ok(None);
    }
    match server.accept(into_stream(wire), keyring).await? {
        Opening::Request(InboundRequest::Stream(StreamRequest { target, mut stream, .. })) => {
            let Some(service) = policy.reply(&target).service() else {
                stream.refuse(RequestRefusal::Unreachable);
                stream.shutdown().await?;
                return Ok(None);
            };
            stream.grant();
            Ok(Some((Box::new(stream) as Box<dyn Tunnel>, service)))
        }
        Opening::Stranger(mut stranger) => {
            swallow(&mut stranger.stream).await?;
            Ok(None)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The connection with what was read from it in front.
fn into_stream(wire: Wire) -> BoxStream {
    let front = Bytes::copy_from_slice(wire.buffer());
    match BufReader::into_inner(wire) {
        Either::Left(socket) => Box::new(Prefixed::new(front, socket)),
        Either::Right(far) => Box::new(Prefixed::new(front, far)),
    }
}
