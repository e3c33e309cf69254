//! Datagrams inside a stream as sing-box packs them: UDP over TCP, version 2, each with its own address.
//!
//! ```text
//! stream:    | the magic name as the target | 0 | a target nobody looks at |
//! datagrams: | type | address | port 2 | length 2 | payload |        type: 0 IPv4, 1 IPv6, 2 name
//! ```

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use hezar_core::{Host, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::Mutex,
};

use super::address::{self, AddressTypes};
use crate::{BoxStream, Cause, Datagram};

/// The name that servers know.
const MAGIC: &[u8] = b"sp.v2.udp-over-tcp.arpa";

/// The longest datagram, header and all.
const MAX_PACKET: usize = address::MAX_ADDRESS + 2 + 0xffff;

/// The request for a stream of datagrams, as SOCKS writes its target.
pub(crate) fn request() -> Vec<u8> {
    let mut bytes = vec![3, u8::try_from(MAGIC.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(MAGIC);
    // Port 0; then: not bound to one target, which is written all the same.
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// The association.
pub(crate) struct Packets {
    reading: Mutex<(ReadHalf<BoxStream>, BytesMut)>,
    writing: Mutex<(WriteHalf<BoxStream>, BytesMut)>,
}

impl Packets {
    /// Datagrams over a stream that was asked for with [`request`].
    pub(crate) fn new(stream: BoxStream) -> Self {
        let (reader, writer) = split(stream);
        Self { reading: Mutex::new((reader, BytesMut::new())), writing: Mutex::new((writer, BytesMut::new())) }
    }
}

#[async_trait]
impl Datagram for Packets {
    /// A send that was given up half-way is finished by the next one.
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let (writer, rest) = &mut *self.writing.lock().await;
        while rest.has_remaining() {
            writer.write_buf(rest).await?;
        }
        let mut head = Vec::new();
        address::put(target, AddressTypes::UDP_OVER_TCP, &mut head);
        rest.extend_from_slice(&head);
        rest.extend_from_slice(&length.to_be_bytes());
        rest.extend_from_slice(payload);
        while rest.has_remaining() {
            writer.write_buf(rest).await?;
        }
        writer.flush().await
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        let (reader, bytes) = &mut *self.reading.lock().await;
        loop {
            while let Some((target, head, length)) = read_head(bytes)? {
                let Some(payload) = bytes.get(head..head + length) else { break };
                let room = payload.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..room), payload.get(..room)) {
                    to.copy_from_slice(from);
                }
                bytes.advance(head + length);
                // A datagram from port 0 cannot be answered; there is nothing to tell about it.
                if let Some(target) = target {
                    return Ok((room, target));
                }
            }
            bytes.reserve(2048);
            if bytes.len() > MAX_PACKET || reader.read_buf(bytes).await? == 0 {
                return Err(Cause::Closed.into());
            }
        }
    }
}

/// A datagram's sender, the length of its header and of its payload; `None` while the header is incomplete.
#[allow(clippy::type_complexity)]
fn read_head(bytes: &[u8]) -> Result<Option<(Option<Target>, usize, usize)>, Cause> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let (host, length) = match kind {
        0 => (rest.first_chunk::<4>().map(|ip| Host::Ip(Ipv4Addr::from(*ip).into())), 5),
        1 => (rest.first_chunk::<16>().map(|ip| Host::Ip(Ipv6Addr::from(*ip).into())), 17),
        2 => {
            let Some((&length, rest)) = rest.split_first() else { return Ok(None) };
            let length = usize::from(length);
            let Some(name) = rest.get(..length) else { return Ok(None) };
            let name = std::str::from_utf8(name).ok().and_then(|name| Host::new(name).ok());
            (Some(name.ok_or(Cause::Protocol("a datagram's address is not one"))?), 2 + length)
        }
        _ => return Err(Cause::Protocol("a datagram's address has an unknown type")),
    };
    let tail = bytes.get(length..length + 4).and_then(|tail| tail.first_chunk::<4>());
    let (Some(host), Some(&[a, b, c, d])) = (host, tail) else { return Ok(None) };
    let target = Target::new(host, u16::from_be_bytes([a, b])).ok();
    Ok(Some((target, length + 4, usize::from(u16::from_be_bytes([c, d])))))
}
