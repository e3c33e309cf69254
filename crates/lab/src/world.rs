//! The world: all servers together, their links, and the handle that changes their behaviour.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Fault, FaultSchedule, Kind, UpstreamConfig, UpstreamCounts, WorldConfig,
    address::{local, loopback, reserve},
    ledger::Ledger,
    link::{Credential, link},
    listener_socket::ListenerSocket,
    origin::OriginInfo,
    secure::Certificates,
    server::ServerHalf,
    upstream::{Links, Order, Upstream},
};

/// What a world cannot do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// A server got no port.
    #[error("no port for a server: {0}")]
    Bind(#[source] io::Error),
    /// The certificates could not be made.
    #[error("no certificate for the targets: {0}")]
    Certificate(#[source] io::Error),
    /// There is no server with this index.
    #[error("there is no server {0}")]
    NoSuchServer(usize),
    /// The world has been shut down.
    #[error("the world has ended")]
    Ended,
}

/// One server as its clients see it.
#[derive(Clone, Debug)]
pub struct LabNode {
    /// Its place in the world.
    pub index: usize,
    /// Its name: the label in the link and `node` in the origin's answers.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Its share link.
    pub link: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The exit address that the origin's trace page shows (RFC 5737 documentation range).
    pub exit: IpAddr,
    /// The country that the trace page shows.
    pub country: [u8; 2],
}

#[derive(Debug)]
struct Member {
    upstream: Arc<Upstream>,
    orders: mpsc::Sender<Order>,
}

/// A running world. Dropping it ends it.
#[derive(Debug)]
pub struct World {
    nodes: Vec<LabNode>,
    members: Vec<Member>,
    ledger: Arc<Ledger>,
    certificates: Certificates,
    dark: Arc<AtomicBool>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl World {
    /// Starts every server; when this returns, all of them listen.
    ///
    /// # Errors
    /// [`LabError::Bind`].
    pub async fn start(config: WorldConfig) -> Result<Self, LabError> {
        let mut world = Self {
            nodes: Vec::new(),
            members: Vec::new(),
            ledger: Arc::default(),
            certificates: Certificates::make().map_err(LabError::Certificate)?,
            dark: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let mut rng = StdRng::seed_from_u64(config.seed);
        for (index, upstream) in config.upstreams.iter().enumerate() {
            world.add(index, upstream, &config, &mut rng).map_err(LabError::Bind)?;
        }
        Ok(world)
    }

    fn add(&mut self, index: usize, server: &UpstreamConfig, config: &WorldConfig, rng: &mut StdRng) -> io::Result<()> {
        let socket = reserve(loopback(0, index))?;
        let address = local(&socket)?;
        let credential = Credential::random(server.kind, rng);
        let half = ServerHalf::new(server.kind, &credential).map_err(io::Error::other)?;
        let name = format!("lab-{index:02}-{}", server.kind.name());
        let node = LabNode {
            index,
            link: link(server.kind, address, &credential, &name),
            kind: server.kind,
            address,
            exit: exit(index),
            country: server.country,
            name,
        };
        let upstream = Arc::new(Upstream {
            kind: server.kind,
            address,
            credential,
            info: OriginInfo {
                node: node.name.clone(),
                kind: server.kind.name(),
                index,
                exit: node.exit,
                country: String::from_utf8_lossy(&server.country).into_owned(),
                ledger: Arc::clone(&self.ledger),
                certificates: self.certificates.clone(),
            },
            fault: Mutex::new(server.fault),
            links: server.distance.map(Links::new),
            seed: rng.random(),
            started: Instant::now(),
            max_life: config.max_life,
            dark: Arc::clone(&self.dark),
            places: Arc::new(Semaphore::new(config.max_connections)),
            half,
            accepted: AtomicU64::new(0),
            served: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        });
        let listener = ListenerSocket::new(socket, server.fault)?;
        let (orders, inbox) = mpsc::channel(1);
        self.tasks.spawn(Arc::clone(&upstream).run(listener, inbox, self.tasks.clone(), self.stop.clone()));
        self.nodes.push(node);
        self.members.push(Member { upstream, orders });
        Ok(())
    }

    /// The servers.
    #[must_use]
    pub fn nodes(&self) -> &[LabNode] {
        &self.nodes
    }

    /// The share links, one per line.
    #[must_use]
    pub fn links(&self) -> String {
        self.nodes.iter().fold(String::new(), |text, node| text + &node.link + "\n")
    }

    /// Changes how a server behaves; when this returns, it does. Connections that are already open keep what they
    /// started with, except that [`Fault::Refused`] drops them.
    ///
    /// # Errors
    /// [`LabError`]: no such server, its port was lost, or the world has ended.
    pub async fn set_fault(&self, index: usize, fault: Fault) -> Result<(), LabError> {
        let member = self.member(index)?;
        let (done, wait) = oneshot::channel();
        member.orders.send((fault, done)).await.map_err(|_| LabError::Ended)?;
        wait.await.map_err(|_| LabError::Ended)?.map_err(LabError::Bind)
    }

    /// Lets a schedule change the servers for as long as this future is polled.
    ///
    /// # Errors
    /// [`LabError`]: a port was lost, or the world has ended.
    pub async fn follow(&self, schedule: &FaultSchedule) -> Result<(), LabError> {
        let began = Instant::now();
        for turn in schedule.changes(self.nodes.len()) {
            sleep_until(began + turn.at).await;
            self.set_fault(turn.node, turn.fault).await?;
        }
        Ok(())
    }

    /// The certificate that a client of [`SECURE_HOST`](crate::SECURE_HOST) trusts, DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        &self.certificates.root
    }

    /// What the counting targets have been asked, with how often: `METHOD name` for `/ledger/name` of the origin, the
    /// line itself for [`LEDGER_HOST`](crate::LEDGER_HOST).
    #[must_use]
    pub fn ledger(&self) -> Vec<(String, u64)> {
        self.ledger.entries()
    }

    /// Takes [`BEACON_HOST`](crate::BEACON_HOST) away, or brings it back; the servers go on serving everything else.
    pub fn set_beacon(&self, shines: bool) {
        self.dark.store(!shines, Ordering::Relaxed);
    }

    /// How a server behaves.
    ///
    /// # Errors
    /// [`LabError::NoSuchServer`].
    pub fn fault(&self, index: usize) -> Result<Fault, LabError> {
        self.member(index).map(|member| *member.upstream.fault.lock())
    }

    /// What a server has seen.
    ///
    /// # Errors
    /// [`LabError::NoSuchServer`].
    pub fn counts(&self, index: usize) -> Result<UpstreamCounts, LabError> {
        self.member(index).map(|member| member.upstream.counts())
    }

    /// Ends every server and connection, and waits for them.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn member(&self, index: usize) -> Result<&Member, LabError> {
        self.members.get(index).ok_or(LabError::NoSuchServer(index))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An address of 203.0.113.0/24 (TEST-NET-3) for each of the first 254 servers, then round again.
fn exit(index: usize) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, u8::try_from(1 + index % 254).unwrap_or(1)).into()
}
