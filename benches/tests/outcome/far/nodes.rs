//! Fake nodes at a distance: what a SOCKS5 server would take for its handshakes and answers, in time that does not pass.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, BuildError, Cause, DialError, Dialer, Engine};
use hezar_lab::{Distance, Fault};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The host that probes ask for; everything else is a client's request.
pub(super) const PROBE_HOST: &str = "probe.test";
/// What a target answers to HTTP, and to a ClientHello.
const HTTP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
pub(super) const SERVER_HELLO: [u8; 9] = [0x16, 3, 3, 0, 4, 2, 0, 0, 0];

/// What one node does now.
#[derive(Debug)]
struct Node {
    distance: Distance,
    fault: Mutex<Fault>,
    /// Cancelled when the node refuses connections: then the open ones end, too.
    alive: Mutex<CancellationToken>,
}

/// The nodes, and how often they were dialled.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Arc<Node>>,
    pub(super) probes: Arc<AtomicU64>,
    pub(super) attempts: Arc<AtomicU64>,
}

impl Nodes {
    pub(super) fn new(distances: Vec<Distance>) -> Self {
        let node = |distance| Arc::new(Node { distance, fault: Mutex::default(), alive: Mutex::default() });
        Self { nodes: distances.into_iter().map(node).collect(), probes: Arc::default(), attempts: Arc::default() }
    }

    /// The description of a node, each on a server of its own.
    pub(super) fn spec(node: usize) -> NodeSpec {
        let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
        let server = format!("11.0.{}.{}:1080", node / 250, node % 250);
        NodeSpec::new(Target::parse(&server).unwrap(), Outbound::Socks(socks))
    }

    /// Lets a node behave otherwise from now on.
    pub(super) fn turn(&self, node: usize, fault: Fault) {
        let node = &self.nodes[node];
        *node.fault.lock() = fault;
        if fault == Fault::Refused {
            std::mem::take(&mut *node.alive.lock()).cancel();
        }
    }
}

impl Engine for Nodes {
    fn dialer(&self, spec: &NodeSpec, _: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        let host = spec.server.host().to_string();
        let numbers: Vec<usize> = host.split('.').map(|number| number.parse().unwrap()).collect();
        let node = self.nodes[numbers[2] * 250 + numbers[3]].clone();
        Ok(Arc::new(FarNode { node, probes: self.probes.clone(), attempts: self.attempts.clone() }))
    }

    fn direct(&self, _: AddressPolicy) -> Arc<dyn Dialer> {
        unreachable!("there is no control check")
    }
}

#[derive(Debug)]
struct FarNode {
    node: Arc<Node>,
    probes: Arc<AtomicU64>,
    attempts: Arc<AtomicU64>,
}

#[async_trait]
impl Dialer for FarNode {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let probe = target.host().to_string() == PROBE_HOST;
        if probe { &self.probes } else { &self.attempts }.fetch_add(1, Relaxed);
        let (fault, alive) = (*self.node.fault.lock(), self.node.alive.lock().clone());
        let distance = self.node.distance;
        // Refused at once: the lab's nodes are refused by this machine.
        match fault {
            Fault::Refused => return Err(DialError::new(Stage::Connect, Cause::Refused)),
            Fault::Mute => return attempt.stage(Stage::Handshake, std::future::pending::<Result<_, Cause>>()).await,
            _ => {}
        }
        // TCP, the choice of a method, the request.
        let trips = match fault {
            Fault::AcceptThenClose | Fault::Reset => 1.5,
            Fault::Garbage => 2.0,
            _ => 3.0,
        };
        let opening = async {
            sleep(trip(distance, trips)).await;
            Ok::<_, Cause>(())
        };
        attempt.stage(Stage::Handshake, opening).await?;
        match fault {
            Fault::AcceptThenClose => return Err(DialError::new(Stage::Handshake, Cause::Closed)),
            Fault::Reset => return Err(DialError::new(Stage::Handshake, Cause::Reset)),
            Fault::Garbage => return Err(DialError::new(Stage::Handshake, Cause::Protocol("garbage"))),
            _ => {}
        }
        let (near, far) = duplex(1 << 14);
        tokio::spawn(async move {
            tokio::select! {
                () = alive.cancelled() => {}
                // What went wrong with a connection is the gateway's to find out.
                _ = answer(far, distance, fault) => {}
            }
        });
        Ok(Box::new(near))
    }
}

/// So many round trips, each a little late.
fn trip(distance: Distance, trips: f64) -> Duration {
    let jitter = (distance.up.jitter + distance.down.jitter).mul_f64(rand::random());
    (distance.round_trip() + jitter).mul_f64(trips)
}

/// The target's answers to whatever comes, each a round trip later.
async fn answer(mut stream: DuplexStream, distance: Distance, fault: Fault) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if fault == Fault::Hung {
            continue;
        }
        sleep(trip(distance, 1.0)).await;
        match (fault, buffer[0]) {
            (Fault::CloseOnData, _) => return Ok(()),
            (Fault::Noise, _) => return stream.write_all(&[0x80; 512]).await,
            (_, 0x16) => stream.write_all(&SERVER_HELLO).await?,
            (_, 0x17) => stream.write_all(&buffer[..read]).await?,
            _ => return stream.write_all(HTTP).await,
        }
    }
}
