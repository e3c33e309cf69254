//! Looks names up with the system's DNS servers.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use hezar_core::DomainName;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig as ServerConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RData, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::{sync::Semaphore, time::timeout};

use super::cache::{Bounds, Cache, Resolved};
use crate::Cause;

/// The most names looked up at the same time; more would be dropped by ordinary DNS servers.
const CONCURRENT: usize = 256;

/// How long the second address family may lag behind the first (RFC 8305 §3).
const GRACE: Duration = Duration::from_millis(50);

/// Asked when the system names no DNS server: a container without `/etc/resolv.conf` still has the Internet.
const FALLBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];

/// How names are looked up.
#[derive(Clone, Debug, Default)]
pub struct ResolverConfig {
    /// DNS servers to ask (UDP, then TCP); empty = the system's.
    pub servers: Vec<SocketAddr>,
    /// Names with fixed addresses; they are never asked for elsewhere.
    pub static_hosts: Vec<(DomainName, Vec<IpAddr>)>,
}

/// Looks names up, with a cache. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    fixed: HashMap<DomainName, Arc<[IpAddr]>>,
    cache: Cache,
    dns: Option<Arc<Dns>>,
}

impl Resolver {
    /// Reads the system's DNS configuration and hosts file, once.
    #[must_use]
    pub fn new(config: &ResolverConfig) -> Self {
        let dns = Dns::new(&config.servers)
            .inspect_err(|error| tracing::warn!(%error, "no name can be looked up"))
            .ok()
            .map(Arc::new);
        let fixed = config.static_hosts.iter().map(|(name, ips)| (name.clone(), ips.as_slice().into())).collect();
        Self(Arc::new(Inner { fixed, cache: Cache::new(Bounds::default()), dns }))
    }

    /// The addresses of a name, IPv6 and IPv4, in the order in which they were answered.
    ///
    /// # Errors
    /// [`Cause::Unresolved`] when the name has no address or nobody answered; both are remembered for a short time.
    pub async fn resolve(&self, name: &DomainName) -> Result<Arc<[IpAddr]>, Cause> {
        if let Some(addresses) = self.0.fixed.get(name) {
            return if addresses.is_empty() { Err(Cause::Unresolved) } else { Ok(Arc::clone(addresses)) };
        }
        let dns = self.0.dns.as_ref().ok_or(Cause::Unresolved)?;
        let addresses = self.0.cache.get(name, || Arc::clone(dns).ask(name.clone())).await;
        if addresses.is_empty() { Err(Cause::Unresolved) } else { Ok(addresses) }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// The DNS client and the hosts file.
struct Dns {
    client: TokioResolver,
    hosts: Hosts,
    slots: Semaphore,
}

impl Dns {
    fn new(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let (config, mut options) = configuration(servers);
        // Our own cache holds the answers; a second copy of every record would only cost memory.
        options.cache_size = 0;
        options.max_active_requests = CONCURRENT * 4;
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        options.try_tcp_on_error = true;
        let client = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let client = client.with_options(options).build()?;
        Ok(Self { client, hosts: Hosts::from_system().unwrap_or_default(), slots: Semaphore::new(CONCURRENT) })
    }

    /// Asks for both address families.
    async fn ask(self: Arc<Self>, name: DomainName) -> Resolved {
        let nothing = Resolved { addresses: Arc::new([]), ttl: Duration::ZERO };
        let Ok(_slot) = self.slots.acquire().await else { return nothing };
        let (v4, v6) =
            lookup_both_families(self.family(&name, RecordType::A), self.family(&name, RecordType::AAAA)).await;
        let found: Vec<_> = [v6, v4].into_iter().flatten().flatten().collect();
        let ttl = found.iter().map(|(_, ttl)| *ttl).min().unwrap_or_default();
        Resolved { addresses: found.into_iter().map(|(ip, _)| ip).collect(), ttl }
    }

    async fn family(&self, name: &DomainName, kind: RecordType) -> io::Result<Vec<(IpAddr, Duration)>> {
        // The final dot keeps search domains out: a node's name is always complete.
        let full = Name::from_ascii(format!("{name}.")).map_err(io::Error::other)?;
        let lookup = match self.hosts.lookup_static_host(&Query::query(full.clone(), kind)) {
            Some(lookup) => lookup,
            None => self.client.lookup(full, kind).await.map_err(io::Error::other)?,
        };
        let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
        let address = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        Ok(lookup.answers().iter().filter_map(|record| address(&record.data)).map(|ip| (ip, ttl)).collect())
    }
}

/// The servers to ask: those given, else the system's, else [`FALLBACK`].
fn configuration(servers: &[SocketAddr]) -> (ServerConfig, ResolverOpts) {
    if !servers.is_empty() {
        return config_of_servers(servers);
    }
    read_system_conf().unwrap_or_else(|error| {
        tracing::warn!(%error, "the system names no DNS server; asking public ones");
        config_of_servers(&FALLBACK.map(|ip| SocketAddr::from((ip, 53))))
    })
}

fn config_of_servers(servers: &[SocketAddr]) -> (ServerConfig, ResolverOpts) {
    let server = |address: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        connections.iter_mut().for_each(|connection| connection.port = address.port());
        NameServerConfig::new(address.ip(), true, connections)
    };
    (ServerConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect()), ResolverOpts::default())
}

/// Waits for one answer with addresses, and for the other no longer than [`GRACE`] after it.
pub(super) async fn lookup_both_families<T>(
    first: impl Future<Output = io::Result<Vec<T>>>,
    second: impl Future<Output = io::Result<Vec<T>>>,
) -> (Option<Vec<T>>, Option<Vec<T>>) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let useful = |answer: &Option<Vec<T>>| answer.as_ref().is_some_and(|found| !found.is_empty());
    tokio::select! {
        answer = &mut first => {
            let answer = answer.ok();
            let other = if useful(&answer) { timeout(GRACE, second).await.ok() } else { Some(second.await) };
            (answer, other.and_then(Result::ok))
        }
        answer = &mut second => {
            let answer = answer.ok();
            let other = if useful(&answer) { timeout(GRACE, first).await.ok() } else { Some(first.await) };
            (other.and_then(Result::ok), answer)
        }
    }
}
