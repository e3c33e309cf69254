//! The gateway: listeners that can be opened, closed and configured while others serve.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, sync::Arc};

use hezar_engine::{Clock, Dialer, Engine};
use hezar_pool::Pool;
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    AccessLog, Connections, GatewayConfig, GroupSelections, ListenerSockets, Metrics, OpenElsewhere, RequestTracer,
    ServeError, Sessions, SharedSessions, Usage,
    accepting::Accepting,
    context::{Context, Services},
    failover::Explanation,
    listener,
    listener_sockets::ServedSockets,
};

/// The listeners that are open, by name.
type OpenListeners = Arc<Mutex<BTreeMap<Box<str>, Arc<Context>>>>;

/// Any number of listeners over one pool.
#[derive(Debug)]
pub struct Gateway {
    config: GatewayConfig,
    services: Services,
    open: OpenListeners,
}

/// A listener that is open until this is dropped.
struct OpenListener {
    open: OpenListeners,
    context: Arc<Context>,
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        let name = self.context.telemetry.listener();
        // One that was closed may have a successor with its name.
        if open.get(name).is_some_and(|listed| Arc::ptr_eq(listed, &self.context)) {
            open.remove(name);
        }
    }
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
        let sessions = Arc::new(Sessions::new(config.max_sessions).with_user_limit(config.max_sessions_per_user));
        let explanation = Explanation::default();
        let (groups, connections, usage, access_log, passwords) = Default::default();
        let accepting = watch::Sender::default();
        let services = Services {
            tracer: RequestTracer::default(),
            pool,
            engine,
            clock,
            metrics,
            sessions,
            shared_sessions: None,
            groups,
            explanation,
            connections,
            usage,
            access_log,
            passwords,
            accepting,
        };
        Self { config, services, open: Arc::default() }
    }

    /// The same gateway with a table of sessions that others look into.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Arc<Sessions>) -> Self {
        self.services.sessions = sessions;
        self
    }

    /// The same gateway, which agrees with others on where sessions come out.
    #[must_use]
    pub fn with_shared_sessions(mut self, shared: Arc<dyn SharedSessions>) -> Self {
        self.services.shared_sessions = Some(shared);
        self
    }

    /// The same gateway with selections that others change.
    #[must_use]
    pub fn with_groups(mut self, groups: Arc<GroupSelections>) -> Self {
        self.services.groups = groups;
        self
    }

    /// The same gateway, which tells clients why there is no node; the line must hold nothing that clients may not know.
    #[must_use]
    pub fn with_explanation(mut self, explain: impl Fn() -> Option<Arc<str>> + Send + Sync + 'static) -> Self {
        self.services.explanation = Explanation::new(explain);
        self
    }

    /// The same gateway, which hands the spans of sampled requests over.
    #[must_use]
    pub fn with_tracer(mut self, tracer: RequestTracer) -> Self {
        self.services.tracer = tracer;
        self
    }

    /// The same gateway with a registry of connections that others look into.
    #[must_use]
    pub fn with_connections(mut self, connections: Arc<Connections>) -> Self {
        self.services.connections = connections;
        self
    }

    /// The same gateway with accounts of users that others look into.
    #[must_use]
    pub fn with_usage(mut self, usage: Arc<Usage>) -> Self {
        self.services.usage = usage;
        self
    }

    /// Where every request is recorded, which can be exchanged.
    #[must_use]
    pub const fn access_log(&self) -> &Arc<AccessLog> {
        &self.services.access_log
    }

    /// What users have moved.
    #[must_use]
    pub const fn usage(&self) -> &Arc<Usage> {
        &self.services.usage
    }

    /// Everything that is alive, to list it and to end it.
    #[must_use]
    pub const fn connections(&self) -> &Arc<Connections> {
        &self.services.connections
    }

    /// What is selected in groups of nodes.
    #[must_use]
    pub const fn groups(&self) -> &Arc<GroupSelections> {
        &self.services.groups
    }

    /// Serves one listener with the settings that the gateway was made with; see [`Gateway::open`].
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub async fn serve(&self, socket: TcpListener, drain: CancellationToken) -> Result<(), ServeError> {
        self.open(self.config.clone(), socket.into(), &drain)?.await;
        Ok(())
    }

    /// Opens a listener. The future serves until the listener is closed or `drain` is cancelled; then it stops accepting,
    /// lets what runs finish for the grace period, and ends when every connection is gone. Whoever drives it sees what
    /// becomes of it.
    ///
    /// # Errors
    /// [`ServeError`]: the settings are impossible, the listener can be reached from other machines without users, or its
    /// name is taken.
    pub fn open(
        &self,
        mut config: GatewayConfig,
        sockets: ListenerSockets,
        drain: &CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + use<>, ServeError> {
        // What counts is where the sockets really listen.
        config.listen = sockets.local_addr()?;
        config.validate()?;
        let name = config.name.clone();
        let mut open = self.open.lock();
        if open.contains_key(&name) {
            return Err(ServeError::NameTaken(name));
        }
        tracing::info!(listener = %name, listen = %config.listen, users = config.users.len(), "gateway listens");
        let context = Context::new(config, &self.services, drain.child_token())?;
        let sockets = ServedSockets::new(&context, sockets)?;
        open.insert(name, context.clone());
        let listed = OpenListener { open: self.open.clone(), context };
        Ok(async move { listener::run(&listed.context, sockets).await })
    }

    /// Gives a listener other settings, which hold for every request from now on; what runs goes on. The address stays: a
    /// listener at another address is another listener.
    ///
    /// # Errors
    /// [`ServeError`]: there is no such listener, or the settings are impossible; then the old ones stay.
    pub fn configure(&self, mut config: GatewayConfig) -> Result<(), ServeError> {
        let context = self.open.lock().get(&config.name).cloned();
        let context = context.ok_or_else(|| ServeError::UnknownListener(config.name.clone()))?;
        config.listen = context.policy.load().listen;
        config.validate()?;
        tracing::info!(listener = %config.name, users = config.users.len(), "listener has new settings");
        Ok(context.configure(config)?)
    }

    /// Opens one more port of a listener; which of its ports are sessions is said by its settings. The future serves until the port or the
    /// listener is closed.
    ///
    /// # Errors
    /// [`ServeError`]: there is no such listener, or the socket is not usable.
    pub fn open_port(
        &self,
        listener: &str,
        socket: TcpListener,
    ) -> Result<impl Future<Output = ()> + Send + use<>, ServeError> {
        let context = self.open.lock().get(listener).cloned();
        let context = context.ok_or_else(|| ServeError::UnknownListener(listener.into()))?;
        let (port, close) = (socket.local_addr()?.port(), CancellationToken::new());
        if let Some(before) = context.ports.lock().insert(port, close.clone()) {
            before.cancel();
        }
        Ok(async move { listener::run_port(&context, socket, close).await })
    }

    /// Closes the ports of a listener that `keep` does not keep; what runs there goes on.
    pub fn close_ports(&self, listener: &str, keep: impl Fn(u16) -> bool) {
        let Some(context) = self.open.lock().get(listener).cloned() else { return };
        context.ports.lock().retain(|port, close| {
            let is_kept = keep(*port);
            if !is_kept {
                close.cancel();
            }
            is_kept
        });
    }

    /// The ports beside the first one at which a listener listens.
    #[must_use]
    pub fn ports(&self, listener: &str) -> Vec<u16> {
        let context = self.open.lock().get(listener).cloned();
        context.map(|context| context.ports.lock().keys().copied().collect()).unwrap_or_default()
    }

    /// Closes a listener: it accepts nobody any more, and what runs may finish for the grace period. Its name is free at
    /// once. False when there is no such listener.
    pub fn close(&self, name: &str) -> bool {
        let closed = self.open.lock().remove(name);
        let Some(context) = closed else { return false };
        context.close.cancel();
        context.drain.cancel();
        true
    }

    /// Accepts nobody for the moment: clients wait at the listening sockets, and what runs goes on. It has no effect after
    /// [`Gateway::hand_over`].
    pub fn pause_accepting(&self) {
        self.set_accepting(Accepting::Paused);
    }

    /// Accepts clients again after [`Gateway::pause_accepting`].
    pub fn resume_accepting(&self) {
        self.set_accepting(Accepting::Yes);
    }

    /// Leaves the clients that come to another process, which has the same listening sockets; it cannot be undone. Tunnels go on until
    /// they end, for [`GatewayConfig::takeover_drain`] at most. An HTTP connection ends after the answer to its next request, or when it was idle for too long:
    /// a request that is on its way is served.
    pub fn hand_over(&self) {
        self.services.accepting.send_replace(Accepting::HandedOver);
    }

    fn set_accepting(&self, accepting: Accepting) {
        self.services.accepting.send_if_modified(|now| {
            let changes = *now != Accepting::HandedOver && *now != accepting;
            if changes {
                *now = accepting;
            }
            changes
        });
    }

    /// Says what users and clients have open at a listener in processes that drain: it counts against their limits until it is said
    /// anew. Without a listener of this name nothing happens.
    pub fn set_open_elsewhere(&self, listener: &str, open: &[OpenElsewhere]) {
        if let Some(context) = self.open.lock().get(listener).cloned() {
            context.access.set_open_elsewhere(open);
        }
    }

    /// The names and addresses of the listeners that are open.
    #[must_use]
    pub fn listeners(&self) -> Vec<(Box<str>, SocketAddr)> {
        self.open.lock().iter().map(|(name, context)| (name.clone(), context.policy.load().listen)).collect()
    }
}
