//! SOCKS 4, 4a and 5 outbound (RFC 1928, RFC 1929). Names go to the server as they are, except to a SOCKS4 server that
//! takes addresses only.

mod datagram;
mod four;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use hezar_core::{Credentials, Host, SocksProxy, SocksVersion, Stage, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::four::NameForm;
use super::address::take_socks;
use crate::{Attempt, BoxDatagram, BoxStream, BuildError, Cause, DialError, Dialer, transport::TransportConnector};

/// One SOCKS server.
#[derive(Debug)]
struct Socks {
    version: SocksVersion,
    credentials: Option<Credentials>,
    /// Whether the stream is inside TLS.
    secured: bool,
    connector: TransportConnector,
    /// How names are sent to a SOCKS4 server.
    names: NameForm,
}

/// Builds the dialer; `connector` opens streams to the server, `resolver` finds the addresses of targets for a SOCKS4
/// server that takes no names.
///
/// # Errors
/// [`BuildError::Invalid`] for credentials that do not fit into the protocol's fields.
pub(crate) fn build(
    settings: &SocksProxy,
    connector: TransportConnector,
    resolver: Arc<dyn Dialer>,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let credentials = settings.credentials.clone();
    if let Some(Credentials { username, password }) = &credentials {
        if username.len() > 255 || password.expose().len() > 255 {
            return Err(BuildError::Invalid("a SOCKS user name or password is longer than 255 bytes"));
        }
        if !settings.version.is_five() && username.contains('\0') {
            return Err(BuildError::Invalid("a SOCKS4 user name holds a zero byte"));
        }
    }
    Ok(Arc::new(Socks {
        version: settings.version,
        credentials,
        secured: settings.tls.is_some(),
        connector,
        names: NameForm::new(resolver),
    }))
}

#[async_trait]
impl Dialer for Socks {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match (self.version, target.host()) {
            (SocksVersion::V4, Host::Name(_)) => self.connect_by_name(target, attempt).await,
            _ => self.connect_as_is(target, attempt).await,
        }
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let unsupported = |what| DialError::new(Stage::Handshake, Cause::Unsupported(what));
        match self.version {
            SocksVersion::V5 => {}
            SocksVersion::Tor => return Err(unsupported("datagrams over Tor")),
            SocksVersion::V4 | SocksVersion::V4a => return Err(unsupported("datagrams over SOCKS4")),
        }
        if self.secured {
            return Err(unsupported("datagrams beside SOCKS over TLS"));
        }
        let stream = self.connector.open(attempt).await?;
        let (stream, bound) = attempt.stage(Stage::Handshake, self.ask_for_datagrams(stream)).await?;
        let outer = self.connector.via().associate(attempt).await?;
        Ok(Box::new(datagram::SocksDatagram::new(stream, outer, bound)))
    }
}

impl Socks {
    /// Opens a stream to a target, which is sent to the server as it is: as a name or as an address.
    async fn connect_as_is(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if !self.version.is_five() {
            // This is refused before anything is dialled, since the server is not to blame.
            self.request4(target).map_err(|cause| DialError::new(Stage::Handshake, cause))?;
        }
        let stream = self.connector.open(attempt).await?;
        attempt.stage(Stage::Handshake, self.handshake(stream, target)).await
    }

    async fn handshake(&self, mut stream: BoxStream, target: &Target) -> Result<BoxStream, Cause> {
        match self.version {
            SocksVersion::V5 | SocksVersion::Tor => drop(self.handshake5(&mut stream, &wire::request(target)).await?),
            SocksVersion::V4 | SocksVersion::V4a => self.handshake4(&mut stream, target).await?,
        }
        Ok(stream)
    }

    /// Asks for an association. Returns the stream that keeps it open, and the address that the datagrams go to.
    async fn ask_for_datagrams(&self, mut stream: BoxStream) -> Result<(BoxStream, Target), Cause> {
        let bound = self.handshake5(&mut stream, &wire::ASSOCIATE).await.map_err(|cause| match cause {
            // Whatever the code is, the server accepts us and relays no datagrams. That says nothing about streams.
            Cause::ServerFailure(_) | Cause::Forbidden | Cause::TargetUnreachable(_) => {
                Cause::Unsupported("UDP ASSOCIATE by this server")
            }
            cause => cause,
        })?;
        let (bound, _) = take_socks(&bound)?.ok_or(Cause::Closed)?;
        let bound = datagram::relay_address(self.connector.server(), bound);
        Ok((stream, bound.ok_or(Cause::Protocol("the SOCKS server names no port for datagrams"))?))
    }

    /// Runs the handshake of SOCKS5, and returns the bytes of the address in the reply.
    async fn handshake5(&self, stream: &mut BoxStream, request: &[u8]) -> Result<Vec<u8>, Cause> {
        send(stream, wire::greeting(self.credentials.is_some())).await?;
        let method = wire::method(read(stream).await?, self.credentials.is_some())?;
        if let (wire::METHOD_PASSWORD, Some(Credentials { username, password })) = (method, &self.credentials) {
            send(stream, &wire::password(username, password.expose())).await?;
            wire::password_answer(read(stream).await?)?;
        }
        send(stream, request).await?;
        // The reply is read in two parts: a refusal may end after its code, and no byte behind the reply may be read.
        let [version, code] = read(stream).await?;
        if version == 5 && code != 0 {
            return Err(wire::reply_cause(code));
        }
        let [reserved, kind, first] = read(stream).await?;
        let rest = wire::reply([version, code, reserved, kind, first])?;
        let mut bound = vec![0; 2 + rest];
        (bound[0], bound[1]) = (kind, first);
        stream.read_exact(&mut bound[2..]).await?;
        Ok(bound)
    }

    async fn handshake4(&self, stream: &mut BoxStream, target: &Target) -> Result<(), Cause> {
        send(stream, &self.request4(target)?).await?;
        wire::reply4(read(stream).await?)
    }

    fn request4(&self, target: &Target) -> Result<Vec<u8>, Cause> {
        wire::request4(target, self.credentials.as_ref().map_or("", |credentials| &credentials.username))
    }
}

async fn send(stream: &mut BoxStream, bytes: &[u8]) -> Result<(), Cause> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(())
}

async fn read<const N: usize>(stream: &mut BoxStream) -> Result<[u8; N], Cause> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
