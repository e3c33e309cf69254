//! Trojan: a hashed password and a SOCKS-like request in front of the payload, everything inside TLS.

mod datagram;
pub(crate) mod server;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hezar_core::{Target, Trojan};

use super::packets::Packets;
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, DialError, Dialer,
    io::header_stream::{HeaderStream, NoHead},
    transport::TransportConnector,
};

/// Builds the dialer; `connector` opens streams to the server.
///
/// # Errors
/// [`BuildError::Unsupported`] for the Shadowsocks layer of trojan-go.
pub(crate) fn build(settings: &Trojan, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    if settings.inner_shadowsocks.is_some() {
        return Err(BuildError::Unsupported("Shadowsocks inside Trojan"));
    }
    Ok(Arc::new(TrojanDialer { key: wire::key(settings.password.expose()), connector }))
}

/// Dials targets through one Trojan server.
struct TrojanDialer {
    key: wire::Key,
    connector: TransportConnector,
}

impl fmt::Debug for TrojanDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrojanDialer").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for TrojanDialer {
    /// The server does not answer a request by itself, so a wrong password shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.connector.open(attempt).await?;
        Ok(Box::new(HeaderStream::new(stream, wire::request(&self.key, wire::CONNECT, target), NoHead)))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let stream = self.connector.open(attempt).await?;
        Ok(Box::new(Packets::new(stream, datagram::Codec::new(self.key))))
    }
}
