//! The gateway itself: what its connections share, and the loop that accepts them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hezar_engine::{Clock, Dialer, Engine};
use hezar_pool::Pool;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ConfigError, Connections, GatewayConfig, Metrics, Refusal, Sessions,
    context::{Context, Services},
    failover::Explanation,
    inbound,
    telemetry::GaugeGuard,
};

/// The pause after a failed accept, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A peer that vanished without a word is noticed after this silence.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// The time between two counts of what was left out of the log.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// Why the gateway does not serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The listening socket is not usable.
    #[error("the listening socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// One mixed port over the pool; one gateway may serve several listeners in turn.
#[derive(Debug)]
pub struct Gateway {
    config: GatewayConfig,
    services: Services,
}

impl Gateway {
    /// Puts a gateway together.
    #[must_use]
    pub fn new(
        config: GatewayConfig,
        pool: Arc<Pool<Arc<dyn Dialer>>>,
        engine: Arc<dyn Engine>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let sessions = Arc::new(Sessions::new(config.max_sessions).of_user(config.max_sessions_per_user));
        let (explanation, connections) = (Explanation::default(), Arc::default());
        let services = Services { pool, engine, clock, metrics, sessions, explanation, connections };
        Self { config, services }
    }

    /// The same gateway with a table of sessions that others look into.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Arc<Sessions>) -> Self {
        self.services.sessions = sessions;
        self
    }

    /// The same gateway, which tells clients why there is no node; the line must hold nothing that clients may not know.
    #[must_use]
    pub fn with_explanation(mut self, explain: impl Fn() -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        self.services.explanation = Explanation::new(explain);
        self
    }

    /// The same gateway with a registry of connections that others look into.
    #[must_use]
    pub fn with_connections(mut self, connections: Arc<Connections>) -> Self {
        self.services.connections = connections;
        self
    }

    /// Everything that is alive, to list it and to end it.
    #[must_use]
    pub const fn connections(&self) -> &Arc<Connections> {
        &self.services.connections
    }

    /// Serves until `drain` is cancelled; then stops accepting, lets what runs finish for the grace period, and
    /// returns when every connection is gone.
    ///
    /// # Errors
    /// [`ServeError`]: the settings are impossible, or the listener can be reached from other machines without users.
    pub async fn serve(&self, listener: TcpListener, drain: CancellationToken) -> Result<(), ServeError> {
        let mut config = self.config.clone();
        // What counts is where the socket really listens.
        config.listen = listener.local_addr()?;
        config.validate()?;
        tracing::info!(listener = %config.name, listen = %config.listen, users = config.users.len(), "gateway listens");
        let context = Context::new(config, &self.services, drain.clone());
        context.tasks.spawn(log_left_out(context.clone()));
        tokio::select! {
            () = accept(&context, &listener) => {}
            () = drain.cancelled() => {}
        }
        drop(listener);
        finish(&context).await;
        Ok(())
    }
}

/// Tells the log now and then how many lines it was spared.
async fn log_left_out(context: Arc<Context>) {
    while timeout(LEFT_OUT, context.drain.cancelled()).await.is_err() {
        context.telemetry.log_left_out();
    }
    context.telemetry.log_left_out();
}

/// Waits for the running tasks: politely for the grace period, then by ending them.
async fn finish(context: &Context) {
    context.tasks.close();
    tracing::info!(running = context.tasks.len(), "gateway drains");
    if timeout(context.config().grace, context.tasks.wait()).await.is_err() {
        tracing::info!(running = context.tasks.len(), "grace period is over");
        context.kill.cancel();
        context.tasks.wait().await;
    }
}

/// Accepts for ever.
async fn accept(context: &Arc<Context>, listener: &TcpListener) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if of_one_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, pause = ?pause, "accept failed");
                context.telemetry.metrics.rejected("exhausted");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = FIRST_PAUSE;
        begin(context, stream, client);
    }
}

/// Serves a connection in a task of its own, or closes it when there is no place for it.
fn begin(context: &Arc<Context>, stream: TcpStream, client: SocketAddr) {
    let config = context.config();
    let Some(entry) = context.access.clients.insert(client, config.max_connections, config.max_pending_per_client)
    else {
        return context.telemetry.reject(client, &Refusal::ConnectionLimit);
    };
    prepare(&stream, config.idle_timeout);
    let (context, open) = (context.clone(), GaugeGuard::new(&context.telemetry.metrics.connections));
    let owner = context.tasks.clone();
    owner.spawn(async move {
        tokio::select! {
            () = inbound::serve(&context, stream, client) => {}
            () = context.kill.cancelled() => {}
            () = entry.close.cancelled() => context.telemetry.reject(client, &Refusal::ConnectionLimit),
        }
        drop((entry, open));
    });
}

/// The connection of one client failed before it was accepted; the listener itself is fine.
fn of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

/// Sets the bounds that the system keeps: a client that is gone, or takes nothing of what it is sent for `stalled`, is
/// given up.
fn prepare(stream: &TcpStream, stalled: Duration) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    // None of them is needed for correctness: a socket that refuses them still works.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stalled));
    #[cfg(not(target_os = "linux"))]
    let _ = stalled;
}
