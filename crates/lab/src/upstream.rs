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
use shadowsocks::context::SharedContext;
use socket2::{SockRef, Socket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Fault, Kind,
    address::{bind, listen},
    gate::Service,
    ledger,
    limited::{End, Limited},
    link::Credential,
    origin::{self, Passport},
    server::{self, Desk, Tunnel},
    throttled::{Tampered, Throttled},
};

/// What lies between a target and a client.
type Way = Limited<Throttled<Box<dyn Tunnel>>>;

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(60);

/// What a server has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
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
    pub(crate) passport: Passport,
    pub(crate) fault: Mutex<Fault>,
    pub(crate) seed: u64,
    pub(crate) started: Instant,
    pub(crate) max_life: Duration,
    /// Whether the beacon is gone, for the whole world.
    pub(crate) dark: Arc<AtomicBool>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) salts: SharedContext,
    pub(crate) accepted: AtomicU64,
    pub(crate) served: AtomicU64,
    pub(crate) requests: AtomicU64,
}

/// An order to behave otherwise, and who waits for it.
pub(crate) type Order = (Fault, oneshot::Sender<io::Result<()>>);

/// The listening socket, or the same port held without listening.
pub(crate) enum Door {
    Open(TcpListener),
    Shut(#[allow(dead_code, reason = "held so that nobody else gets the port")] Socket),
}

impl Door {
    /// The door of a socket that has its address.
    pub(crate) fn new(socket: Socket, fault: Fault) -> io::Result<Self> {
        Ok(if fault == Fault::Refused { Self::Shut(socket) } else { Self::Open(listen(socket)?) })
    }

    /// Opens or shuts it; the port stays the same.
    fn turn(&mut self, address: SocketAddr, fault: Fault) -> io::Result<()> {
        match (&self, fault == Fault::Refused) {
            (Self::Open(_), true) => {
                let spare = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
                // The listener has to go before its port can be taken again.
                *self = Self::Shut(spare);
                *self = Self::Shut(bind(address)?);
            }
            (Self::Shut(_), false) => {
                let spare = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
                let Self::Shut(socket) = std::mem::replace(self, Self::Shut(spare)) else {
                    return Ok(());
                };
                *self = Self::Open(listen(socket)?);
            }
            _ => {}
        }
        Ok(())
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Shut(_) => std::future::pending().await,
        }
    }
}

impl Upstream {
    /// The counters.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            accepted: self.accepted.load(Ordering::Relaxed),
            served: self.served.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    /// Accepts until cancelled.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut door: Door,
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
                    let _ = done.send(door.turn(self.address, fault));
                }
                accepted = door.accept() => match accepted {
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
                    tracing::trace!(node = this.passport.node, %error, "lab connection ended");
                },
            }
        });
    }

    async fn handle(&self, mut stream: TcpStream, number: u64) -> io::Result<()> {
        let _ = stream.set_nodelay(true);
        let fault = *self.fault.lock();
        match fault {
            Fault::Refused | Fault::AcceptThenClose => Ok(()),
            Fault::Mute => drain(&mut stream).await,
            Fault::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
            Fault::Garbage => self.noise(stream, number).await,
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                self.tunnel(stream, fault).await
            }
            Fault::Flapping(period) if self.asleep(period) => drain(&mut stream).await,
            _ => self.tunnel(stream, fault).await,
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

    async fn tunnel(&self, stream: TcpStream, fault: Fault) -> io::Result<()> {
        // A second descriptor only where it is needed: a lab may hold ten thousand tunnels.
        let resets = matches!(fault, Fault::DieAfter(_) | Fault::ResetOnData);
        let handle = if resets { Some(SockRef::from(&stream).try_clone()?) } else { None };
        let reset = || handle.as_ref().map_or(Ok(()), |handle| handle.set_linger(Some(Duration::ZERO)));
        let desk = Desk {
            credential: &self.credential,
            refuse: fault == Fault::WrongCredential,
            deny: fault == Fault::DenyTargets,
            salts: &self.salts,
        };
        let accepted = server::accept(self.kind, BufReader::new(stream), &desk);
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
                return reset();
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
            Some(End::Die) => reset(),
            Some(End::Hang) => drain(&mut tunnel).await,
            Some(End::Close) => tunnel.shutdown().await,
            None => result,
        }
    }

    async fn serve(&self, service: Service, tunnel: &mut Way, fault: Fault) -> io::Result<()> {
        let certificates = &self.passport.certificates;
        let acceptor = if fault == Fault::TamperTls { &certificates.false_one } else { &certificates.true_one };
        match service {
            // The target is gone: what was opened ends at once.
            Service::Beacon if self.dark.load(Ordering::Relaxed) => tunnel.shutdown().await,
            Service::Http | Service::Beacon => {
                let tunnel = Tampered::new(tunnel, fault == Fault::TamperBody);
                origin::serve(tunnel, &self.passport, &self.requests).await.map_err(io::Error::other)
            }
            Service::Https => {
                let tunnel = acceptor.accept(tunnel).await?;
                origin::serve(tunnel, &self.passport, &self.requests).await.map_err(io::Error::other)
            }
            Service::Echo => echo(tunnel).await,
            Service::Datagrams => server::associate(tunnel, self.address.ip()).await,
            Service::SecureEcho => echo(acceptor.accept(tunnel).await?).await,
            Service::Greeting => {
                tunnel.write_all(b"220 greet.hezar\r\n").await?;
                tunnel.flush().await?;
                echo(tunnel).await
            }
            Service::Ledger => ledger::serve(tunnel, &self.passport.ledger).await,
        }
    }
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
