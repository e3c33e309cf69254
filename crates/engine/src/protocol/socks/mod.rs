//! SOCKS 4, 4a and 5 outbound (RFC 1928, RFC 1929). Names go to the server as they are; nothing is looked up here.

#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use hezar_core::{Credentials, Host, SocksProxy, SocksVersion, Stage, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Attempt, BoxStream, BuildError, Cause, DialError, Dialer, upstream::Upstream};

/// One SOCKS server.
#[derive(Debug)]
struct Socks {
    version: SocksVersion,
    credentials: Option<Credentials>,
    upstream: Upstream,
}

/// Builds the dialer; `upstream` opens streams to the server.
///
/// # Errors
/// [`BuildError::Invalid`] for credentials that do not fit into the protocol's fields.
pub(crate) fn build(settings: &SocksProxy, upstream: Upstream) -> Result<Arc<dyn Dialer>, BuildError> {
    let credentials = settings.credentials.clone();
    if let Some(Credentials { username, password }) = &credentials {
        if username.len() > 255 || password.expose().len() > 255 {
            return Err(BuildError::Invalid("a SOCKS user name or password is longer than 255 bytes"));
        }
        if settings.version != SocksVersion::V5 && username.contains('\0') {
            return Err(BuildError::Invalid("a SOCKS4 user name holds a zero byte"));
        }
    }
    Ok(Arc::new(Socks { version: settings.version, credentials, upstream }))
}

#[async_trait]
impl Dialer for Socks {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.version != SocksVersion::V5 {
            // Refused before anything is dialled: the server is not to blame.
            self.request4(target).map_err(|cause| DialError::new(Stage::Handshake, cause))?;
        }
        let stream = self.upstream.open(attempt).await?;
        attempt.stage(Stage::Handshake, self.handshake(stream, target)).await
    }
}

impl Socks {
    async fn handshake(&self, mut stream: BoxStream, target: &Target) -> Result<BoxStream, Cause> {
        match self.version {
            SocksVersion::V5 => self.handshake5(&mut stream, target).await?,
            SocksVersion::V4 | SocksVersion::V4a => self.handshake4(&mut stream, target).await?,
        }
        Ok(stream)
    }

    async fn handshake5(&self, stream: &mut BoxStream, target: &Target) -> Result<(), Cause> {
        send(stream, wire::greeting(self.credentials.is_some())).await?;
        let method = wire::method(read(stream).await?, self.credentials.is_some())?;
        if let (wire::METHOD_PASSWORD, Some(Credentials { username, password })) = (method, &self.credentials) {
            send(stream, &wire::password(username, password.expose())).await?;
            wire::password_answer(read(stream).await?)?;
        }
        send(stream, &wire::request(target)).await?;
        // Read apart: a refusal may be cut off after its code, and nothing behind the reply may be swallowed.
        let [version, code] = read(stream).await?;
        if version == 5 && code != 0 {
            return Err(wire::reply_cause(code));
        }
        let [reserved, kind, first] = read(stream).await?;
        let rest = wire::reply([version, code, reserved, kind, first])?;
        let mut bound = [0; 257];
        stream.read_exact(&mut bound[..rest]).await?;
        Ok(())
    }

    async fn handshake4(&self, stream: &mut BoxStream, target: &Target) -> Result<(), Cause> {
        send(stream, &self.request4(target)?).await?;
        wire::reply4(read(stream).await?)
    }

    fn request4(&self, target: &Target) -> Result<Vec<u8>, Cause> {
        if self.version == SocksVersion::V4 && matches!(target.host(), Host::Name(_)) {
            return Err(Cause::Unsupported("a target name over SOCKS4 (only 4a carries names)"));
        }
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
