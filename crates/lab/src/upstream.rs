//! One upstream server: its listener, its fault of the moment and its connections.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy},
    net::TcpStream,
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use crate::{
    Distance, Fault, Kind,
    distance::Link,
    ledger,
    limited::{End, Limited},
    link::Credential,
    listener_socket::ListenerSocket,
    origin::{self, OriginInfo},
    server::{self, Connection, ServerHalf, ServerPolicy, Tunnel},
    targets::Service,
    throttled::{Tampered, Throttled},
};

/// What lies between a target and a client.
type Way = Limited<Throttled<Box<dyn Tunnel>>>;

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(60);

/// What a server has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCounts {
    /// TCP connections accepted.
    pub accepted: u64,
    /// Tunnels opened.
    pub served: u64,
    /// HTTP requests that the origin answered through this server.
    pub requests: u64,
}

/// Everything that the connections of one server share.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) credential: Credential,
    pub(crate) info: OriginInfo,
    pub(crate) fault: Mutex<Fault>,
    /// Absent when it is on this machine.
    pub(crate) links: Option<Links>,
    pub(crate) seed: u64,
    pub(crate) started: Instant,
    pub(crate) max_life: Duration,
    /// Whether the beacon is gone, for the whole world.
    pub(crate) dark: Arc<AtomicBool>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) half: Option<ServerHalf>,
    pub(crate) accepted: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) requests: AtomicU64,
}

/// The way to the server, shared by its connections.
#[derive(Debug)]
pub(crate) struct Links {
    distance: Distance,
    up: Link,
    down: Link,
}

impl Links {
    pub(crate) fn new(distance: Distance) -> Self {
        let round_trip = distance.round_trip();
        Self { distance, up: Link::new(distance.up, round_trip), down: Link::new(distance.down, round_trip) }
    }
}

/// An order to behave otherwise, and who waits for it.
pub(crate) type Order = (Fault, oneshot::Sender<io::Result<()>>);

impl Upstream {
    /// The counters.
    pub(crate) fn counts(&self) -> UpstreamCounts {
        UpstreamCounts {
            accepted: self.accepted.load(Ordering::Relaxed),
            served: self.served.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    /// Accepts until cancelled.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut listener: ListenerSocket,
        mut orders: mpsc::Receiver<Order>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let mut alive = stop.child_token();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                order = orders.recv() => {
                    let Some((fault, done)) = order else { return };
                    *self.fault.lock() = fault;
                    if fault == Fault::Refused {
                        alive.cancel();
                        alive = stop.child_token();
                    }
                    // Whoever asked may have given up waiting.
                    let _ = done.send(listener.apply(self.address, fault).await);
                }
                accepted = listener.accept() => match accepted {
                    Ok(stream) => self.admit(stream, &tasks, &alive),
                    // Out of descriptors: a pause, so that this loop does not eat the processor.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, tasks: &TaskTracker, alive: &CancellationToken) {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed);
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let (this, alive) = (Arc::clone(self), alive.clone());
        tasks.spawn(async move {
            let _place = place;
            let work = tokio::time::timeout(this.max_life, this.handle(stream, number));
            tokio::select! {
                () = alive.cancelled() => {}
                outcome = work => if let Ok(Err(error)) = outcome {
                    tracing::trace!(node = this.info.node, %error, "lab connection ended");
                },
            }
        });
    }

    async fn handle(&self, mut stream: TcpStream, number: u64) -> io::Result<()> {
        let _ = stream.set_nodelay(true);
        let fault = *self.fault.lock();
        // A second descriptor only where it is needed: a lab may hold ten thousand tunnels.
        let socket = if fault.resets() { Some(SockRef::from(&stream).try_clone()?) } else { None };
        let Some(links) = &self.links else {
            return self.behave(Either::Left(stream), number, fault, socket).await;
        };
        // On loopback the TCP handshake takes no time: the client's first bytes leave when it would be over, and the server
        // sees the connection half a round trip later.
        let opens = Instant::now() + links.distance.round_trip();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (from_client, to_client) = stream.split();
        let (from_server, to_server) = tokio::io::split(far);
        let random = |direction| StdRng::seed_from_u64(self.seed ^ (number << 1 | direction));
        let up = links.up.carry(from_client, to_server, random(0), opens, || false);
        let down = links.down.carry(from_server, to_client, random(1), opens, || fault.resets());
        let serve = async {
            sleep_until(opens + links.distance.up.delay).await;
            self.behave(Either::Right(near), number, fault, socket).await
        };
        let finished = async { tokio::join!(serve, down) };
        tokio::select! {
            // A client that only ends its sending still waits for answers.
            Err(gone) = up => Err(gone),
            (served, delivered) = finished => served.and(delivered),
        }
    }

    /// Does to a connection what the fault says; `socket` is there for faults that reset it.
    async fn behave(
        &self,
        mut stream: Connection,
        number: u64,
        fault: Fault,
        socket: Option<Socket>,
    ) -> io::Result<()> {
        match fault {
            Fault::Refused | Fault::AcceptThenClose => Ok(()),
            Fault::Mute => drain(&mut stream).await,
            Fault::Reset => reset(socket.as_ref()),
            Fault::Garbage => self.noise(stream, number).await,
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                self.tunnel(stream, fault, None).await
            }
            Fault::Flapping(period) if self.asleep(period) => drain(&mut stream).await,
            _ => self.tunnel(stream, fault, socket).await,
        }
    }

    /// Whether a server that flaps is in one of its mute periods.
    fn asleep(&self, period: Duration) -> bool {
        let periods = self.started.elapsed().as_nanos().checked_div(period.as_nanos());
        periods.is_some_and(|number| number % 2 == 1)
    }

    async fn noise(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, number: u64) -> io::Result<()> {
        let mut buffer = [0; 512];
        if stream.read(&mut buffer).await? == 0 {
            return Ok(());
        }
        StdRng::seed_from_u64(self.seed ^ number).fill(&mut buffer[..]);
        stream.write_all(&buffer).await?;
        stream.shutdown().await
    }

    async fn tunnel(&self, stream: Connection, fault: Fault, socket: Option<Socket>) -> io::Result<()> {
        let policy = ServerPolicy {
            credential: &self.credential,
            refuse: fault == Fault::WrongCredential,
            deny: fault == Fault::DenyTargets,
            half: self.half.as_ref(),
        };
        let accepted = server::accept(self.kind, BufReader::new(stream), &policy);
        let accepted = tokio::time::timeout(HANDSHAKE_LIMIT, accepted).await??;
        let Some((tunnel, service)) = accepted else {
            return Ok(());
        };
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut tunnel = tunnel;
        match fault {
            Fault::Hung => return drain(&mut tunnel).await,
            Fault::Noise => return self.noise(tunnel, self.served.load(Ordering::Relaxed)).await,
            Fault::CloseOnData => {
                // All that has arrived is read: closing with bytes unread would be a reset.
                let _ = tunnel.read(&mut [0; 16 * 1024]).await?;
                return tunnel.shutdown().await;
            }
            Fault::ResetOnData => {
                let _ = tunnel.read(&mut [0; 1]).await?;
                return reset(socket.as_ref());
            }
            _ => {}
        }
        let (left, end) = match fault {
            Fault::DieAfter(bytes) => (bytes, Some(End::Die)),
            Fault::HangAfter(bytes) => (bytes, Some(End::Hang)),
            Fault::CloseAfter(bytes) => (bytes, Some(End::Close)),
            _ => (0, None),
        };
        let rate = if let Fault::Throttled(rate) = fault { Some(rate) } else { None };
        let mut tunnel = Limited::new(Throttled::new(tunnel, rate), left, end);
        let result = self.serve(service, &mut tunnel, fault).await;
        match tunnel.ended() {
            Some(End::Die) => reset(socket.as_ref()),
            Some(End::Hang) => drain(&mut tunnel).await,
            Some(End::Close) => tunnel.shutdown().await,
            None => result,
        }
    }

    async fn serve(&self, service: Service, tunnel: &mut Way, fault: Fault) -> io::Result<()> {
        let certificates = &self.info.certificates;
        let acceptor = if fault == Fault::TamperTls { &certificates.false_one } else { &certificates.true_one };
        match service {
            // The target is gone: what was opened ends at once.
            Service::Beacon if self.dark.load(Ordering::Relaxed) => tunnel.shutdown().await,
            Service::Http | Service::Beacon => {
                let tunnel = Tampered::new(tunnel, fault == Fault::TamperBody);
                origin::serve(tunnel, &self.info, &self.requests).await.map_err(io::Error::other)
            }
            Service::Https => {
                let tunnel = acceptor.accept(tunnel).await?;
                origin::serve(tunnel, &self.info, &self.requests).await.map_err(io::Error::other)
            }
            Service::Echo => echo(tunnel).await,
            Service::Datagrams => server::associate(tunnel, self.address.ip()).await,
            Service::SecureEcho => echo(acceptor.accept(tunnel).await?).await,
            Service::Greeting => {
                tunnel.write_all(b"220 greet.hezar\r\n").await?;
                tunnel.flush().await?;
                echo(tunnel).await
            }
            Service::Ledger => ledger::serve(tunnel, &self.info.ledger).await,
        }
    }
}

/// Lets the connection end with a reset when it is dropped.
fn reset(socket: Option<&Socket>) -> io::Result<()> {
    socket.map_or(Ok(()), |socket| socket.set_linger(Some(Duration::ZERO)))
}

/// Sends back what it gets.
async fn echo(tunnel: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let (mut from, mut to) = tokio::io::split(tunnel);
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// Reads and forgets until the client is gone.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
