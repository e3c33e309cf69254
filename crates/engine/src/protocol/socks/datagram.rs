//! Datagrams beside a SOCKS5 stream: the association lasts as long as the stream (RFC 1928 §7).

use std::io;

use async_trait::async_trait;
use hezar_core::{Host, Reach, Target};
use tokio::{io::AsyncReadExt, sync::Mutex};

use super::wire;
use crate::{
    BoxDatagram, BoxStream, Cause, Datagram,
    io::copy::copy_packet,
    protocol::{address::may_be, packets::unsendable},
};

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;
/// The header in front of the payload, with the longest name.
const MAX_HEADER: usize = 3 + 1 + 1 + 255 + 2;

/// The association.
pub(super) struct SocksDatagram {
    outer: BoxDatagram,
    relay: Target,
    receiving: Mutex<Receiving>,
}

struct Receiving {
    control: BoxStream,
    /// The datagram with its header; it is longer than what the caller has room for.
    bytes: Vec<u8>,
}

impl SocksDatagram {
    /// Sends to `relay` over `outer` while `control` is open.
    pub(super) fn new(control: BoxStream, outer: BoxDatagram, relay: Target) -> Self {
        Self { outer, relay, receiving: Mutex::new(Receiving { control, bytes: Vec::new() }) }
    }
}

/// Where the datagrams go: the address in the reply, or the server's own host when the reply does not know it, or knows
/// only one inside the server's own network.
pub(super) fn relay_address(server: &Target, bound: Option<Target>) -> Option<Target> {
    let bound = bound?;
    let unknown = matches!(bound.host(), Host::Ip(ip) if ip.is_unspecified());
    let inside = bound.host().reach() == Reach::Private && server.host().reach() == Reach::Public;
    if unknown || inside { Target::new(server.host().clone(), bound.port()).ok() } else { Some(bound) }
}

#[async_trait]
impl Datagram for SocksDatagram {
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        if payload.len() > MAX_DATAGRAM - MAX_HEADER {
            return Err(unsendable("the datagram is too large for SOCKS5"));
        }
        self.outer.send_to(&wire::datagram(target, payload), &self.relay).await
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        let mut receiving = self.receiving.lock().await;
        let Receiving { control, bytes } = &mut *receiving;
        bytes.resize(MAX_DATAGRAM, 0);
        loop {
            let mut ignored = [0; 64];
            let (length, from) = tokio::select! {
                read = control.read(&mut ignored) => match read? {
                    0 => return Err(Cause::Closed.into()),
                    _ => continue,
                },
                received = self.outer.recv_from(bytes) => received?,
            };
            if !may_be(&self.relay, &from) {
                continue;
            }
            if let Some((from, payload)) = wire::open_datagram(bytes.get(..length).unwrap_or_default()) {
                return Ok((copy_packet(payload, buffer), from));
            }
        }
    }
}
