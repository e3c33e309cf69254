//! How datagrams in a stream are addressed: all to one target, or each with an IP address (v2fly's extension `packetaddr`).
//!
//! ```text
//! packetaddr: a stream to the name sp.packet-addr.v2fly.arpa, and in front of each payload, both ways:
//! | type: 1 IPv4, 2 IPv6 | address | port 2 |
//! ```

use std::{io, ops::Range};

use hezar_core::{Host, PacketEncoding, Target};

use super::{
    address::{AddressTypes, put, take},
    packets::unsendable,
};

const MAGIC: &str = "sp.packet-addr.v2fly.arpa:443";
/// The name of it, which v2fly's own clients send with port 0.
const MAGIC_NAME: &[u8] = b"sp.packet-addr.v2fly.arpa";

/// The target of the stream for datagrams to `target`. `packetaddr` cannot write names, so each name has a stream of its own.
pub(crate) fn stream_for(encoding: PacketEncoding, target: &Target) -> Target {
    match (encoding, target.host(), Target::parse(MAGIC)) {
        (PacketEncoding::PacketAddr, Host::Ip(_), Ok(magic)) => magic,
        _ => target.clone(),
    }
}

/// The target that a request asks for, when its name is that of `packetaddr`, whatever its port.
pub(crate) fn requested(name: &[u8]) -> Option<Target> {
    Target::parse(MAGIC).ok().filter(|_| name == MAGIC_NAME)
}

/// How the datagrams of a stream are addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// All of them go to one target, and come from it.
    One(Target),
    /// A server's stream: all that come are for one target, and answers are taken for its own, whoever sends them.
    For(Target),
    /// Each carries its address.
    Each,
}

impl Addressing {
    /// How the datagrams of a stream to `target` are addressed.
    pub(crate) fn for_stream_to(target: &Target) -> Self {
        if target.to_string() == MAGIC { Self::Each } else { Self::One(target.clone()) }
    }

    /// The same at the server.
    pub(crate) fn for_request_to(target: &Target) -> Self {
        match Self::for_stream_to(target) {
            Self::One(target) => Self::For(target),
            each => each,
        }
    }

    /// The bytes in front of a payload for `target`; at the server, of one that comes from it.
    ///
    /// # Errors
    /// [`unsendable`] when the stream cannot carry it.
    pub(crate) fn header(&self, target: &Target) -> io::Result<Vec<u8>> {
        let mut header = Vec::new();
        match self {
            Self::One(own) if own != target => return Err(unsendable("another target's datagram")),
            Self::One(_) | Self::For(_) => {}
            Self::Each if matches!(target.host(), Host::Name(_)) => {
                return Err(unsendable("a name cannot be written in packetaddr"));
            }
            Self::Each => put(target, AddressTypes::PACKET_ADDR, &mut header),
        }
        Ok(header)
    }

    /// The sender of a received datagram, and the range of its payload; `None` when the sender is not a valid address.
    pub(crate) fn open(&self, datagram: &[u8]) -> Option<(Target, Range<usize>)> {
        match self {
            Self::One(target) | Self::For(target) => Some((target.clone(), 0..datagram.len())),
            Self::Each => {
                let (from, used) = take(datagram, AddressTypes::PACKET_ADDR).ok()??;
                Some((from?, used..datagram.len()))
            }
        }
    }
}
