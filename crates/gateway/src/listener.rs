//! One listening socket: it accepts clients until it is closed, and lets those that are there finish.

use std::{future::pending, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Refusal,
    accepting::Accepting,
    access::ClientEntry,
    context::Context,
    inbound::{self, ClientBuffer, ClientSocket, proxied_client},
    listener_sockets::ServedSockets,
    quic_server::QuicServer,
    telemetry::GaugeGuard,
};

/// The pause after a failed accept, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A peer that vanished without a word is noticed after this silence.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The time between two counts of what was left out of the log.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// Serves until the drain of the listener begins or a successor accepts; then lets what runs finish, and returns when every
/// connection is gone.
pub(crate) async fn run(context: &Arc<Context>, sockets: ServedSockets) {
    context.tasks.spawn(log_left_out(context.clone()));
    let ServedSockets { tcp, packets, quic } = sockets;
    let serve = async {
        let over_quic = async {
            if let Some(quic) = &quic {
                quic.run(context).await;
            }
        };
        tokio::join!(accept_streams(context, tcp), Box::pin(over_quic));
        match &quic {
            Some(quic) => drain_quic(context, quic).await,
            None => drain(context).await,
        }
    };
    // Associations that run when the drain begins go on until it ends.
    let packets = async {
        inbound::serve_packets(context, packets).await;
        pending().await
    };
    tokio::select! {
        () = serve => {}
        () = Box::pin(packets) => {}
        () = context.access.end_refused(&context.telemetry.connections) => {}
    }
}

/// Accepts connections until the listener accepts nobody any more, and closes the socket.
async fn accept_streams(context: &Arc<Context>, socket: Option<TcpListener>) {
    match &socket {
        Some(socket) => accept_while_open(context, socket).await,
        None => context.closed().await,
    }
}

/// Waits for the running tasks as [`drain`] does. All connections over QUIC end after it, and as soon as another one reads from the socket.
async fn drain_quic(context: &Context, quic: &QuicServer) {
    let leave = async {
        context.has_left_udp_socket().await;
        quic.close().await;
    };
    let mut draining = pin!(drain(context));
    tokio::select! {
        () = &mut draining => quic.close().await,
        () = leave => draining.await,
    }
}

/// Accepts at one more socket of a listener until `close`, or until the listener accepts nobody any more.
pub(crate) async fn run_port(context: &Arc<Context>, socket: TcpListener, close: CancellationToken) {
    tokio::select! {
        () = accept_while_open(context, &socket) => {}
        () = close.cancelled() => {}
    }
}

/// Tells the log now and then how many lines it was spared.
async fn log_left_out(context: Arc<Context>) {
    while timeout(LEFT_OUT, context.closed()).await.is_err() {
        context.telemetry.log_left_out();
    }
    context.telemetry.log_left_out();
}

/// Waits for the running tasks: for as long as a successor leaves them, then politely for the grace period, then by ending them.
async fn drain(context: &Context) {
    context.tasks.close();
    tracing::info!(running = context.tasks.len(), "gateway drains");
    let mut grace = context.config().grace;
    if context.is_handed_over() {
        tokio::select! {
            biased;
            () = context.tasks.wait() => return,
            () = context.drain.cancelled() => {}
            // Who has had all this time gets no more.
            () = sleep(context.config().takeover_drain) => grace = Duration::ZERO,
        }
    }
    if timeout(grace, context.tasks.wait()).await.is_err() {
        tracing::info!(running = context.tasks.len(), "grace period is over");
        context.kill.cancel();
        context.tasks.wait().await;
    }
}

/// Accepts until the drain of the listener begins or a successor accepts, with pauses where they are asked for. Whoever comes in a
/// pause, or too late, waits at the socket.
async fn accept_while_open(context: &Arc<Context>, socket: &TcpListener) {
    let mut accepting = context.accepting.subscribe();
    loop {
        let now = *accepting.borrow_and_update();
        if now == Accepting::HandedOver {
            return;
        }
        tokio::select! {
            () = accept(context, socket), if now == Accepting::Yes => {}
            () = context.drain.cancelled() => return,
            _ = accepting.changed() => {}
        }
    }
}

/// Accepts for ever.
async fn accept(context: &Arc<Context>, listener: &TcpListener) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if concerns_one_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, pause = ?pause, "accept failed");
                context.telemetry.metrics.rejected("exhausted");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = FIRST_PAUSE;
        spawn_connection(context, stream, client);
    }
}

/// A client that was accepted, and its place in the table.
struct Arrival {
    buffer: ClientBuffer,
    client: SocketAddr,
    entry: ClientEntry,
}

/// Serves a connection in a task of its own, or closes it when there is no place for it.
fn spawn_connection(context: &Arc<Context>, stream: TcpStream, client: SocketAddr) {
    let config = context.config();
    let is_proxy = config.proxy_protocol.contains(client.ip());
    // Whom a proxy speaks for is known when it has said so; until then its address stands for all of them.
    let max_pending = if is_proxy { config.max_connections } else { config.max_pending_per_client };
    let Some(entry) = context.access.clients.insert(client, config.max_connections, max_pending) else {
        return context.telemetry.reject(client, &Refusal::ConnectionLimit);
    };
    let port = stream.local_addr().map(|local| local.port()).unwrap_or_default();
    set_socket_bounds(&stream, config.idle_timeout);
    let deadline = Instant::now() + config.setup_timeout;
    let arrival = Arrival { buffer: ClientBuffer::new(ClientSocket::Plain(stream), deadline), client, entry };
    let (context, open) = (context.clone(), GaugeGuard::new(&context.telemetry.metrics.connections));
    let owner = context.tasks.clone();
    owner.spawn(async move {
        // In a box, which is freed when it is known who the client is.
        let arrival = if is_proxy { Box::pin(behind_proxy(&context, arrival)).await } else { Some(arrival) };
        if let Some(arrival) = arrival {
            serve(&context, arrival, port).await;
        }
        drop(open);
    });
}

/// The client that a trusted proxy speaks for, with a place of its own; `None` when the connection is over.
async fn behind_proxy(context: &Context, arrival: Arrival) -> Option<Arrival> {
    let Arrival { mut buffer, client: proxy, entry } = arrival;
    let named = tokio::select! {
        named = proxied_client(&mut buffer) => named,
        () = context.drain.cancelled() => Err(Refusal::ShuttingDown),
        () = context.kill.cancelled() => return None,
        () = entry.close.cancelled() => Err(Refusal::ConnectionLimit),
    };
    match named {
        Ok(Some(client)) => {
            let config = context.config();
            drop(entry);
            let entry = context.access.clients.insert(client, config.max_connections, config.max_pending_per_client);
            if entry.is_none() {
                context.telemetry.reject(client, &Refusal::ConnectionLimit);
            }
            Some(Arrival { buffer, client, entry: entry? })
        }
        // Such as a health check: the proxy itself is the client.
        Ok(None) => Some(Arrival { buffer, client: proxy, entry }),
        Err(refusal) => {
            context.note_rejected(proxy, &refusal);
            None
        }
    }
}

/// Serves a client until it is done, must end, or makes room for another one. `port` is the one that it came to.
async fn serve(context: &Arc<Context>, arrival: Arrival, port: u16) {
    let Arrival { buffer, client, entry } = arrival;
    if let Some(options) = context.config().ports.and_then(|ports| ports.options(port)) {
        context.access.clients.set_options(client, options);
    }
    tokio::select! {
        () = inbound::serve(context, buffer, client) => {}
        () = context.kill.cancelled() => {}
        () = entry.close.cancelled() => context.telemetry.reject(client, &Refusal::ConnectionLimit),
    }
    drop(entry);
}

/// The connection of one client failed before it was accepted; the listener itself is fine.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

/// Sets the bounds that the system keeps: a client that is gone, or takes nothing of what it is sent for `stalled`, is
/// given up.
fn set_socket_bounds(stream: &TcpStream, stalled: Duration) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    // None of them is needed for correctness: a socket that refuses them still works.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stalled));
    #[cfg(not(target_os = "linux"))]
    let _ = stalled;
}
