//! Datagrams of VMess: in one stream as XUDP, or in one stream for each target with the command for datagrams, where each
//! chunk is a datagram.

use std::{io, sync::Arc};

use async_trait::async_trait;
use hezar_core::{PacketEncoding, Target};
use tokio::io::ReadBuf;

use super::{
    body::{BodyKind, MAX_PAYLOAD},
    codec,
    stream::VmessCodec,
    wire::{Command, User},
};
use crate::{
    Attempt, BoxDatagram, BoxStream, Cause, DialError,
    io::codec_stream::{Codec as _, Opened},
    protocol::{
        packet_addr::{self, Addressing},
        packets::{PacketCodec, Packets, Taken, unsendable},
        stream_per_target::Opener,
    },
    transport::TransportConnector,
};

/// Opens the streams: one for each target, or with `packetaddr` one for all IP addresses.
pub(super) struct Streams {
    pub(super) user: User,
    pub(super) kind: BodyKind,
    pub(super) encoding: PacketEncoding,
    pub(super) connector: Arc<TransportConnector>,
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
        // Datagrams need chunks, which tell where a datagram ends.
        let kind = if self.kind == BodyKind::Raw { BodyKind::Plain } else { self.kind };
        let codec = codec(&self.user, kind, Command::Datagrams(target))?;
        let codec = codec.inside_tls(self.connector.is_secured());
        Ok(Box::new(Packets::new(io, Codec { codec, addressing: Addressing::for_stream_to(target) })))
    }
}

/// Puts each datagram into a chunk of its own, in both directions.
pub(super) struct Codec {
    pub(super) codec: VmessCodec,
    pub(super) addressing: Addressing,
}

impl PacketCodec for Codec {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        let mut datagram = self.addressing.header(target)?;
        datagram.extend_from_slice(payload);
        if datagram.is_empty() {
            return Err(unsendable("an empty chunk would end the stream"));
        }
        if datagram.len() > MAX_PAYLOAD {
            return Err(unsendable("the datagram is too large for VMess"));
        }
        self.codec.seal(&datagram, wire)?;
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        // There is no room to decrypt into, so every chunk is decrypted in place.
        let (used, range) = match self.codec.open(wire, &mut ReadBuf::new(&mut []))? {
            Opened::Need(length) => return Ok(Taken::Need(length)),
            Opened::Used(used) => return Ok(Taken::Used(used)),
            Opened::End => return Ok(Taken::End),
            Opened::Held(used, range) => (used, range),
        };
        let datagram = wire.get(range.clone()).unwrap_or_default();
        Ok(self.addressing.open(datagram).map_or(Taken::Used(used), |(from, payload)| Taken::Packet {
            used,
            payload: range.start + payload.start..range.start + payload.end,
            from,
        }))
    }
}
