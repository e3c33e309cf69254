//! VLESS: a user id and a request in front of the payload, and a short header in front of the answer.

mod datagram;
mod encryption;
pub(crate) mod server;
mod vision;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hezar_core::{PacketEncoding, Target, Vision, Vless};
use uuid::Uuid;

#[cfg(feature = "fuzzing")]
pub(crate) use self::vision::{read_vision_answer, read_vision_payload};
use self::{
    encryption::Encryption,
    vision::{Layer, No443, VisionStream},
};
use super::{packets::Packets, stream_per_target::PerTarget, xudp::Xudp};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, DialError, Dialer, hand_over::HandOverCounter,
    io::header_stream::HeaderStream, transport::TransportConnector,
};

/// Builds the dialer; `connector` opens streams to the server.
///
/// # Errors
/// [`BuildError::Unsupported`] for unknown encryption, [`BuildError::Invalid`] for malformed settings of it.
pub(crate) fn build(settings: &Vless, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let encryption = settings.encryption.as_ref().map(|text| Encryption::new(text.expose())).transpose()?;
    let hand_overs = Arc::clone(&connector.shared().hand_overs);
    let connector = Arc::new(EncryptedConnector { encryption, connector });
    let (packets, vision) = (settings.packet_encoding, settings.flow);
    Ok(Arc::new(VlessDialer { id: settings.id, packets, vision, connector, hand_overs }))
}

/// Connects to the server, with VLESS encryption where the node says so.
struct EncryptedConnector {
    encryption: Option<Encryption>,
    connector: TransportConnector,
}

impl EncryptedConnector {
    async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.connector.open(attempt).await?;
        match &self.encryption {
            Some(encryption) => Ok(Box::new(encryption.wrap(stream, attempt).await?)),
            None => Ok(stream),
        }
    }

    /// The same for Vision, which needs a layer that it can leave: encryption on any carrier, or TLS on raw TCP.
    async fn open_leavable(&self, attempt: &Attempt) -> Result<Box<dyn Layer>, DialError> {
        match &self.encryption {
            Some(encryption) => Ok(Box::new(encryption.wrap(self.connector.open(attempt).await?, attempt).await?)),
            None => Ok(Box::new(self.connector.open_leavable(attempt).await?)),
        }
    }
}

/// Decodes the settings of VLESS encryption, its records, and masked headers in pieces of this size, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode_encryption(data: &[u8], piece: usize) -> Vec<u8> {
    encryption::decode(data, piece)
}

/// Dials targets through one VLESS server.
struct VlessDialer {
    id: Uuid,
    packets: PacketEncoding,
    connector: Arc<EncryptedConnector>,
    vision: Option<Vision>,
    hand_overs: Arc<HandOverCounter>,
}

impl fmt::Debug for VlessDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VlessDialer").field("connector", &self.connector.connector).finish_non_exhaustive()
    }
}

impl VlessDialer {
    async fn open_vision(&self, request: Vec<u8>, attempt: &Attempt) -> Result<VisionStream, DialError> {
        let layer = self.connector.open_leavable(attempt).await?;
        Ok(VisionStream::new(layer, self.id, request, Arc::clone(&self.hand_overs)))
    }
}

#[async_trait]
impl Dialer for VlessDialer {
    /// The server sends its header together with the first payload, so a wrong id shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        if self.vision.is_some() {
            return Ok(Box::new(self.open_vision(wire::vision(&self.id, target), attempt).await?));
        }
        let stream = self.connector.open(attempt).await?;
        Ok(Box::new(HeaderStream::new(stream, wire::request(&self.id, wire::CONNECT, target), wire::ResponseHead)))
    }

    /// With Vision, servers take datagrams as XUDP only.
    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        if let Some(flow) = self.vision {
            let stream = self.open_vision(wire::vision_mux(&self.id), attempt).await?;
            let packets = Packets::new(Box::new(stream), Xudp::default());
            return Ok(if flow == Vision::Plain { Box::new(No443(packets)) } else { Box::new(packets) });
        }
        if self.packets == PacketEncoding::Xudp {
            let stream = self.connector.open(attempt).await?;
            let stream = HeaderStream::new(stream, wire::mux(&self.id), wire::ResponseHead);
            return Ok(Box::new(Packets::new(Box::new(stream), Xudp::default())));
        }
        let streams = datagram::Streams { id: self.id, encoding: self.packets, connector: Arc::clone(&self.connector) };
        Ok(Box::new(PerTarget::open(streams, attempt).await?))
    }
}
