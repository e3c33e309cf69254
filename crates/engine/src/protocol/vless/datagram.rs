//! Datagrams of VLESS: in one stream as XUDP, or in one stream for each target with the command for datagrams.

use std::{io, sync::Arc};

use async_trait::async_trait;
use hezar_core::{PacketEncoding, Target};
use uuid::Uuid;

use super::{EncryptedConnector, wire};
use crate::{
    Attempt, BoxDatagram, BoxStream, Cause, DialError,
    io::header_stream::HeaderStream,
    protocol::{
        packet_addr::{self, Addressing},
        packets::{PacketCodec, Packets, Taken, unsendable},
        stream_per_target::Opener,
    },
};

/// Opens the streams: one for each target, or with `packetaddr` one for all IP addresses.
pub(super) struct Streams {
    pub(super) id: Uuid,
    pub(super) encoding: PacketEncoding,
    pub(super) connector: Arc<EncryptedConnector>,
}

#[async_trait]
impl Opener for Streams {
    async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.connector.open(attempt).await
    }

    fn stream_for(&self, target: &Target) -> Target {
        packet_addr::stream_for(self.encoding, target)
    }

    fn lead(&self, io: BoxStream, target: &Target) -> Result<BoxDatagram, Cause> {
        let request = wire::request(&self.id, wire::DATAGRAMS, target);
        let stream = HeaderStream::new(io, request, wire::ResponseHead);
        Ok(Box::new(Packets::new(Box::new(stream), Codec { addressing: Addressing::for_stream_to(target) })))
    }
}

/// Frames each datagram with its length in front, in both directions.
pub(super) struct Codec {
    pub(super) addressing: Addressing,
}

impl PacketCodec for Codec {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        let header = self.addressing.header(target)?;
        let length = u16::try_from(header.len() + payload.len());
        let length = length.map_err(|_| unsendable("the datagram is too large for VLESS"))?;
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(&header);
        wire.extend_from_slice(payload);
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        let Some((length, rest)) = wire.split_first_chunk() else { return Ok(Taken::Need(2)) };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(datagram) = rest.get(..length) else { return Ok(Taken::Need(2 + length)) };
        let used = 2 + length;
        Ok(self.addressing.open(datagram).map_or(Taken::Used(used), |(from, payload)| Taken::Packet {
            used,
            payload: 2 + payload.start..2 + payload.end,
            from,
        }))
    }
}
