//! Looks up the names of targets at public resolvers, through the tunnel. WireGuard carries addresses only, and a look-up
//! outside the tunnel would show this machine's network which hosts are visited.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hezar_core::DomainName;
use hickory_resolver::proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{datagram::TunnelDatagram, tunnel::Tunnel};
use crate::Cause;

/// The public resolvers of Cloudflare and Google.
const SERVERS_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8)];
const SERVERS_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111),
    Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888),
];
const DNS: u16 = 53;
/// How long one resolver may take. Each is asked twice.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The most names that are remembered, and the longest time for it.
const MOST_NAMES: usize = 1024;
const LONGEST: u32 = 300;

/// The names that were looked up through a tunnel, with their addresses.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<DomainName, (IpAddr, Instant)>>);

impl Names {
    /// The address of a name, in a family that the tunnel carries.
    ///
    /// # Errors
    /// [`Cause::TargetUnreachable`] when there is none, [`Cause::Timeout`] when no resolver answers.
    pub(super) async fn resolve(&self, tunnel: &Arc<Tunnel>, name: &DomainName) -> Result<IpAddr, Cause> {
        if let Some((address, end)) = self.0.lock().get(name).copied()
            && Instant::now() < end
        {
            return Ok(address);
        }
        let (v4, v6) = {
            let stack = tunnel.stack.lock();
            (stack.speaks(Ipv4Addr::LOCALHOST.into()), stack.speaks(Ipv6Addr::LOCALHOST.into()))
        };
        let servers: Vec<IpAddr> =
            if v4 { SERVERS_V4.map(IpAddr::from).to_vec() } else { SERVERS_V6.map(IpAddr::from).to_vec() };
        for kind in [v4.then_some(RecordType::A), v6.then_some(RecordType::AAAA)].into_iter().flatten() {
            if let Some((address, seconds)) = ask(tunnel, name, kind, &servers).await? {
                self.remember(name, address, seconds);
                return Ok(address);
            }
        }
        Err(Cause::TargetUnreachable("its name has no address that the tunnel carries"))
    }

    fn remember(&self, name: &DomainName, address: IpAddr, seconds: u32) {
        let mut names = self.0.lock();
        let now = Instant::now();
        if names.len() >= MOST_NAMES {
            names.retain(|_, (_, end)| now < *end);
        }
        if names.len() < MOST_NAMES {
            names.insert(name.clone(), (address, now + Duration::from_secs(seconds.min(LONGEST).into())));
        }
    }
}

/// Asks for the first address of a name and its time to live in seconds; `None` when the name has no address of that kind.
async fn ask(
    tunnel: &Arc<Tunnel>,
    name: &DomainName,
    kind: RecordType,
    servers: &[IpAddr],
) -> Result<Option<(IpAddr, u32)>, Cause> {
    let unaskable = Cause::TargetUnreachable("its name cannot be asked for");
    let Ok(mut name) = Name::from_ascii(name.as_str()) else { return Err(unaskable) };
    // Answers contain absolute names, and those are different from relative ones.
    name.set_fqdn(true);
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, kind));
    let Ok(bytes) = query.to_vec() else { return Err(unaskable) };
    let socket = TunnelDatagram::open(Arc::clone(tunnel))?;
    for server in servers.iter().chain(servers) {
        let server = SocketAddr::new(*server, DNS);
        socket.send(&bytes, server).await?;
        match timeout(PATIENCE, answer(&socket, server, &query)).await {
            Ok(found) => return found,
            Err(_) => continue,
        }
    }
    Err(Cause::Timeout)
}

/// Waits for the answer to a query. Other datagrams are ignored.
async fn answer(socket: &TunnelDatagram, server: SocketAddr, query: &Message) -> Result<Option<(IpAddr, u32)>, Cause> {
    let mut buffer = vec![0; 4096];
    loop {
        let (length, from) = socket.receive(&mut buffer).await?;
        let Ok(message) = Message::from_vec(buffer.get(..length).unwrap_or_default()) else { continue };
        if from != server || message.metadata.id != query.metadata.id || message.queries != query.queries {
            continue;
        }
        if !matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Err(Cause::TargetUnreachable("the resolver behind the tunnel failed"));
        }
        let address = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        return Ok(message.answers.iter().find_map(|record| Some((address(&record.data)?, record.ttl))));
    }
}
