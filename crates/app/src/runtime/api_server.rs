//! The API's server, which moves to another address or takes another token while it runs.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use hezar_api::{ApiConfig, Control};
use hezar_core::Role;
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::listeners::listen;
use crate::{
    certificates::Certificates,
    config::Config,
    inherited_sockets::{BoundSocket, InheritedSockets, SocketRole},
    places::UserFolders,
    running::Announcement,
    supervise, token,
};

/// A socket with the settings under which it is served.
struct Served {
    socket: std::net::TcpListener,
    /// The address that the configuration names.
    listen: SocketAddr,
    /// Where it really listens.
    address: SocketAddr,
    config: ApiConfig,
}

/// What the API is to become; its address is bound, and nothing has changed yet.
pub(crate) struct ApiPlan(Option<Arc<Served>>);

impl ApiPlan {
    /// Where the API will listen.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|served| served.address)
    }
}

/// A server that runs.
struct Serving {
    address: SocketAddr,
    config: watch::Sender<ApiConfig>,
    stop: CancellationToken,
}

/// The place of the API's server.
pub(crate) struct ApiServer {
    wanted: watch::Sender<Option<Arc<Served>>>,
    /// Whether clients wait at the socket, since another process takes over.
    paused: watch::Sender<bool>,
    /// How many servers run; one whose place another has taken runs until its requests have ended.
    running: watch::Sender<usize>,
    /// The socket that another process had; it serves the first plan that wants it.
    inherited: Mutex<InheritedSockets>,
    /// The note for commands, which names the address and the token.
    announcement: Mutex<Option<Announcement>>,
    certificates: Arc<Certificates>,
}

impl ApiServer {
    /// No server yet. The first one takes the inherited socket, when there is one for it.
    pub(crate) fn new(certificates: Arc<Certificates>, inherited: InheritedSockets) -> Self {
        let (paused, running, announcement) = Default::default();
        let inherited = Mutex::new(inherited);
        Self { wanted: watch::Sender::new(None), paused, running, inherited, announcement, certificates }
    }

    /// Binds what a configuration needs.
    ///
    /// # Errors
    /// The address cannot be bound, or the token cannot be read or made.
    pub(crate) async fn plan(&self, config: &Config) -> anyhow::Result<ApiPlan> {
        let Some(wanted) = config.api.address() else { return Ok(ApiPlan(None)) };
        let token = token::load_or_make(config)?;
        let now = self.wanted.borrow().clone();
        let socket = match now.filter(|served| served.listen == wanted) {
            Some(served) => served.socket.try_clone().context("the API's socket")?,
            None => match self.take_inherited(wanted) {
                Some(inherited) => inherited,
                None => listen(wanted, "api.listen or --api").await?.into_std()?,
            },
        };
        let address = socket.local_addr()?;
        let (hosts, open_metrics) = (config.api.hosts.clone(), !config.api.metrics_token);
        let (tls, trusted_proxies) = (self.certificates.of(&config.api.tls), config.api.trusted_proxies.clone());
        let only_health = !config.cluster.roles.has(Role::Api);
        let config = ApiConfig { token, hosts, only_health, open_metrics, tls, trusted_proxies };
        Ok(ApiPlan(Some(Arc::new(Served { socket, listen: wanted, address, config }))))
    }

    fn take_inherited(&self, wanted: SocketAddr) -> Option<std::net::TcpListener> {
        match self.inherited.lock().take(&SocketRole::Api, wanted)?.socket {
            BoundSocket::Tcp(socket) => Some(socket),
            BoundSocket::Udp(_) => None,
        }
    }

    /// Where the API listens now.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.wanted.borrow().as_ref().map(|served| served.address)
    }

    /// What a successor needs to serve the API in the place of this process.
    ///
    /// # Errors
    /// The socket cannot be kept once more.
    pub(crate) fn handed_socket(&self) -> std::io::Result<Option<(SocketRole, SocketAddr, BoundSocket)>> {
        let served = self.wanted.borrow().clone();
        let handed = |served: Arc<Served>| {
            let socket = served.socket.try_clone()?;
            Ok((SocketRole::Api, served.listen, BoundSocket::Tcp(socket)))
        };
        served.map(handed).transpose()
    }

    /// Serves nobody until [`ApiServer::resume`]: open requests get five seconds to end, and clients that come wait at the socket.
    /// Returns when nothing is served any more.
    pub(crate) async fn pause(&self) {
        self.paused.send_replace(true);
        // The sender lives as long as this, so that waiting cannot fail.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Serves again after [`ApiServer::pause`].
    pub(crate) fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Leaves everything to a successor: the socket, and the note for commands, in whose place it has put its own.
    pub(crate) fn leave(&self) {
        self.wanted.send_replace(None);
        if let Some(announcement) = self.announcement.lock().take() {
            announcement.disown();
        }
    }

    /// Does what was planned, and returns where the API listens now. Where that stays the same, no connection ends; requests that are open at
    /// the old address get five seconds.
    pub(crate) fn carry_out(&self, plan: ApiPlan, config: &Config) -> Option<SocketAddr> {
        let ApiPlan(new) = plan;
        // Those that the first plan has not taken are closed: nobody is served there.
        for unused in self.inherited.lock().take_all().iter().filter(|socket| socket.configured.is_none()) {
            tracing::warn!(address = %unused.place.address, "the service manager's socket for the API is not used");
        }
        let old = self.wanted.borrow().clone();
        let told = |served: &Option<Arc<Served>>| served.as_ref().map(|s| (s.address, s.config.token.clone()));
        if told(&old) != told(&new) {
            let mut announcement = self.announcement.lock();
            // The old note goes first: it must not take the new one with it.
            *announcement = None;
            *announcement = new.as_ref().and_then(|served| announce(config, served));
        }
        if let Some(served) = &new {
            tracing::info!(address = %served.address, "api listens");
        }
        let address = new.as_ref().map(|served| served.address);
        self.wanted.send_replace(new);
        address
    }

    /// Serves what is wanted at the time until `stop`, and then until the open requests have ended.
    ///
    /// # Errors
    /// A socket cannot be used.
    pub(crate) async fn run(&self, control: Arc<dyn Control>, stop: CancellationToken) -> anyhow::Result<()> {
        let (mut wanted, mut paused) = (self.wanted.subscribe(), self.paused.subscribe());
        let mut serving = JoinSet::new();
        let mut current: Option<Serving> = None;
        wanted.mark_changed();
        loop {
            self.running.send_replace(serving.len());
            tokio::select! {
                () = either_changed(&mut wanted, &mut paused) => {
                    let is_paused = *paused.borrow_and_update();
                    let next = wanted.borrow_and_update().clone().filter(|_| !is_paused);
                    if let (Some(current), Some(next)) = (&current, &next)
                        && current.address == next.address
                    {
                        current.config.send_replace(next.config.clone());
                        continue;
                    }
                    if let Some(old) = current.take() {
                        old.stop.cancel();
                    }
                    let Some(next) = next else { continue };
                    let (config, settings) = watch::channel(next.config.clone());
                    let begun = Serving { address: next.address, config, stop: stop.child_token() };
                    let listener = TcpListener::from_std(next.socket.try_clone()?)?;
                    let server = hezar_api::serve(listener, settings, Arc::clone(&control), begun.stop.clone());
                    serving.spawn(supervise::named("api", server));
                    current = Some(begun);
                }
                Some(ended) = serving.join_next() => ended.context("the API's server panicked")??,
                () = stop.cancelled(), if serving.is_empty() => {
                    // The note names nobody any more.
                    *self.announcement.lock() = None;
                    return Ok(());
                }
            }
        }
    }
}

/// Returns when one of the two values has changed. Their senders live as long as the server's place.
async fn either_changed<T, U>(one: &mut watch::Receiver<T>, other: &mut watch::Receiver<U>) {
    tokio::select! {
        _ = one.changed() => {}
        _ = other.changed() => {}
    }
}

/// Tells the user's commands where this instance is; they find it through the configuration otherwise.
fn announce(config: &Config, served: &Served) -> Option<Announcement> {
    let user = UserFolders::from_environment();
    match Announcement::make(served.address, &served.config.token, config.file.as_deref(), &config.data, &user) {
        Ok(made) => Some(made),
        Err(error) => {
            tracing::warn!(%error, "no note for commands in other folders could be left");
            None
        }
    }
}
