//! WireGuard outbound: the protocol comes from `boringtun`, TCP and UDP inside the tunnel from `smoltcp`, so that no network
//! device of the system is needed.
//!
//! A node that is in use has one tunnel. Names of targets are looked up through it.

mod datagram;
mod names;
mod stack;
mod stream;
#[cfg(test)]
mod tests;
mod tunnel;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boringtun::{
    noise::Tunn,
    x25519::{PublicKey, StaticSecret},
};
use hezar_core::{Host, Stage, Target, WireGuard};
use rand::RngExt;
use tokio::sync::Mutex;

use self::{
    datagram::TunnelDatagram,
    stack::Stack,
    stream::TunnelStream,
    tunnel::{Link, Tunnel},
};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, Cause, DialError, Dialer,
    budget::{ConnectionBudget, IdleConnections},
};

/// The MTU of a node that names none, and the bounds of an MTU that a node names (RFC 791, RFC 8200 §5), in bytes.
const MTU: u16 = 1420;
const LEAST_MTU: u16 = 576;
const LEAST_MTU_V6: u16 = 1280;

/// Builds the dialer; `via` carries the datagrams to `server`. Its tunnel counts among the idle connections of `budget`.
///
/// # Errors
/// [`BuildError::Invalid`] for malformed keys and addresses.
pub(crate) fn build(
    settings: &WireGuard,
    server: &Target,
    via: Arc<dyn Dialer>,
    budget: &ConnectionBudget,
) -> Result<Arc<dyn Dialer>, BuildError> {
    let settings = settings.completed(server.host());
    let public =
        settings.public_key.as_deref().ok_or(BuildError::Invalid("a WireGuard node without its peer's key"))?;
    let pre_shared = settings.pre_shared_key.as_ref().map(|text| key(text.expose())).transpose()?;
    let addresses = addresses(&settings.addresses)?;
    let least = if addresses.iter().any(IpAddr::is_ipv6) { LEAST_MTU_V6 } else { LEAST_MTU };
    Ok(Arc::new(WireGuardDialer {
        private: StaticSecret::from(key(settings.private_key.expose())?),
        public: PublicKey::from(key(public)?),
        pre_shared,
        addresses,
        reserved: settings.reserved,
        mtu: settings.mtu.unwrap_or(MTU).max(least),
        keepalive: settings.keepalive.filter(|seconds| *seconds > 0),
        server: server.clone(),
        via,
        tunnel: Mutex::default(),
        idle: Arc::clone(&budget.idle),
    }))
}

fn key(text: &str) -> Result<[u8; 32], BuildError> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(BuildError::Invalid("a WireGuard key is not 32 bytes in base64"))
}

/// The first address of each family (IPv4, IPv6).
fn addresses(texts: &[Box<str>]) -> Result<Vec<IpAddr>, BuildError> {
    let invalid = BuildError::Invalid("a WireGuard address is none");
    let mut found: Vec<IpAddr> = Vec::new();
    for text in texts {
        let address = text.split_once('/').map_or(text.as_ref(), |(address, _)| address);
        let address: IpAddr = address.trim().parse().map_err(|_| invalid.clone())?;
        if !found.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            found.push(address);
        }
    }
    if found.is_empty() {
        Err(BuildError::Invalid("a WireGuard node without an address of its own"))
    } else {
        Ok(found)
    }
}

/// Passes packets to a stack with one stream, for the fuzz targets. Each packet has its length in front.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(data: &[u8]) {
    let mut stack = Stack::new(&[IpAddr::from([10, 0, 0, 2])], MTU);
    let _ = stack.connect(SocketAddr::from(([192, 0, 2, 7], 80)));
    let (mut rest, mut out) = (data, Vec::new());
    while let Some((&length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(length).min(after.len()));
        stack.receive(packet);
        stack.poll(&mut out);
        out.clear();
        rest = after;
    }
}

/// Dials targets through one WireGuard server.
struct WireGuardDialer {
    private: StaticSecret,
    public: PublicKey,
    pre_shared: Option<[u8; 32]>,
    addresses: Vec<IpAddr>,
    reserved: [u8; 3],
    mtu: u16,
    keepalive: Option<u16>,
    server: Target,
    via: Arc<dyn Dialer>,
    /// The tunnel, if there is one. The lock is held while a tunnel is made, so that there is never a second one.
    tunnel: Mutex<Weak<Tunnel>>,
    /// The idle connections of all nodes.
    idle: Arc<IdleConnections>,
}

impl fmt::Debug for WireGuardDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireGuardDialer").field("server", &self.server).finish_non_exhaustive()
    }
}

impl WireGuardDialer {
    /// The open tunnel, or a new one whose server has answered.
    async fn tunnel(&self, attempt: &Attempt) -> Result<Arc<Tunnel>, DialError> {
        let tunnel = {
            let turn = async { Ok::<_, Cause>(self.tunnel.lock().await) };
            let mut known = attempt.stage(Stage::Connect, turn).await?;
            match known.upgrade().filter(|tunnel| !tunnel.stack.lock().over) {
                Some(tunnel) => tunnel,
                None => {
                    let datagrams = attempt.bound(Stage::Connect, self.via.associate(attempt)).await?;
                    let tunnel = self.start(datagrams);
                    *known = Arc::downgrade(&tunnel);
                    tunnel
                }
            }
        };
        attempt.stage(Stage::Handshake, tunnel.up()).await?;
        Ok(tunnel)
    }

    fn start(&self, datagrams: BoxDatagram) -> Arc<Tunnel> {
        // The protocol uses the low bits of the index for its sessions.
        let index = rand::rng().random_range(0..1 << 24);
        let tunn = Tunn::new(self.private.clone(), self.public, self.pre_shared, self.keepalive, index, None);
        let link = Link { datagrams, server: self.server.clone(), reserved: self.reserved };
        Tunnel::start(Stack::new(&self.addresses, self.mtu), tunn, link, Arc::clone(&self.idle))
    }
}

#[async_trait]
impl Dialer for WireGuardDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let tunnel = self.tunnel(attempt).await?;
        let connecting = async {
            let address = match target.host() {
                Host::Ip(address) => *address,
                Host::Name(name) => tunnel.names.resolve(&tunnel, name).await?,
            };
            TunnelStream::connect(Arc::clone(&tunnel), SocketAddr::new(address, target.port())).await
        };
        Ok(Box::new(attempt.stage(Stage::Handshake, connecting).await?))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let tunnel = self.tunnel(attempt).await?;
        let opening = async { TunnelDatagram::open(tunnel) };
        Ok(Box::new(attempt.stage(Stage::Handshake, opening).await?))
    }
}
