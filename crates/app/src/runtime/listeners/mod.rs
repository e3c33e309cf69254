//! The listeners of the gateway: opened, changed, moved and closed while the instance runs.

mod at_core;
mod handover;
mod plan;
mod sockets;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
};

use anyhow::{Context, anyhow};
use hezar_engine::NativeEngine;
use hezar_gateway::{Gateway, GatewayConfig};
use hezar_pool::FilterId;
use parking_lot::RwLock;
use tokio::{
    net::TcpListener,
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::Certificates,
    config::Config,
    inherited_sockets::{BoundSocket, InheritedSockets, SocketPlace},
    nodes::Nodes,
    supervise,
};
use plan::{Open, Place, Plan, Planned, Wanted, listener_sockets, port_places, protocols};
use sockets::ListeningSockets;
pub(crate) use sockets::listen;

/// Serves a listener until it is closed.
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All listeners.
pub(crate) struct Listeners {
    gateway: Gateway,
    pool: Arc<Nodes>,
    native: NativeEngine,
    certificates: Arc<Certificates>,
    /// The address of the API, which is no node either.
    api: RwLock<Option<SocketAddr>>,
    stop: CancellationToken,
    /// Whether clients are served; without, no listener is ever opened.
    serves: bool,
    /// Whether a Clash core opens the listeners; then they are only known here.
    are_at_core: bool,
    open: RwLock<Vec<Open>>,
    sockets: ListeningSockets,
    /// Is cancelled when another process accepts the clients.
    handed_over: CancellationToken,
    begin: UnboundedSender<Serving>,
    /// Held by the one task that serves.
    begun: Mutex<UnboundedReceiver<Serving>>,
}

impl Listeners {
    /// No listener yet. All of them drain when `stop` is cancelled. Listeners that are opened take `inherited` sockets where there is one
    /// for them.
    pub(crate) fn new(
        gateway: Gateway,
        pool: Arc<Nodes>,
        native: NativeEngine,
        certificates: Arc<Certificates>,
        api: Option<SocketAddr>,
        inherited: InheritedSockets,
        stop: CancellationToken,
    ) -> Self {
        let (begin, begun) = unbounded_channel();
        Self {
            gateway,
            pool,
            native,
            certificates,
            api: RwLock::new(api),
            stop,
            serves: true,
            are_at_core: false,
            open: RwLock::default(),
            sockets: ListeningSockets::inheriting(inherited),
            handed_over: CancellationToken::new(),
            begin,
            begun: Mutex::new(begun),
        }
    }

    /// The same listeners where the gateway has its role; otherwise none is ever opened.
    pub(crate) fn serving(self, serves: bool) -> Self {
        Self { serves, ..self }
    }

    /// The API listens here from now on; it counts with the next [`Listeners::carry_out`].
    pub(crate) fn set_api_address(&self, api: Option<SocketAddr>) {
        *self.api.write() = api;
    }

    /// Binds and makes what a configuration needs. Sockets and filters that are not used any more stay until
    /// [`Listeners::carry_out`].
    ///
    /// # Errors
    /// An address cannot be bound, or there are too many filters.
    pub(crate) async fn plan(&self, config: &Config) -> anyhow::Result<Plan> {
        let mut plan = Plan { next: Vec::new(), made: Vec::new() };
        if !self.serves {
            return Ok(plan);
        }
        let all = Wanted::all(config);
        let kept = self.kept_places(&all);
        for wanted in all {
            if let Err(error) = self.add(&mut plan, wanted, &kept).await {
                self.remove_filters(&plan.made);
                return Err(error);
            }
        }
        Ok(plan)
    }

    /// The places that listeners go on to use which stay where they are. All others may pass to another listener.
    fn kept_places(&self, all: &[Wanted]) -> BTreeSet<SocketPlace> {
        let (open, mut kept) = (self.open.read(), BTreeSet::new());
        for open in open.iter() {
            let Some(wanted) = all.iter().find(|wanted| wanted.config.name == open.config.name) else { continue };
            if open.stays_with(&wanted.config) {
                let is_wanted = |port| wanted.config.ports.is_some_and(|ports| ports.ports().contains(&port));
                let is_own = |place: &SocketPlace| place.address == open.address;
                kept.extend(open.places().filter(|place| is_own(place) || is_wanted(place.address.port())));
            }
        }
        kept
    }

    async fn add(&self, plan: &mut Plan, wanted: Wanted, kept: &BTreeSet<SocketPlace>) -> anyhow::Result<()> {
        let Wanted { mut config, filter, key } = wanted;
        if self.are_at_core {
            plan.next.push(self.planned_at_core(config, key)?);
            return Ok(());
        }
        let known = self.open.read().iter().find(|open| open.config.name == config.name).cloned();
        config.filter = match (&known, &filter) {
            (_, None) => None,
            (Some(known), Some(_)) if known.filter == filter => known.config.filter,
            (_, Some(filter)) => {
                let made = self.pool.add_filter(filter.clone())?;
                plan.made.push(made);
                Some(made)
            }
        };
        config.server_tls = self.certificates.of(&config.tls);
        config.validate()?;
        let stays = known.filter(|known| known.stays_with(&config));
        let place = match stays {
            Some(known) => Place::Stays(Box::new(known)),
            None => {
                let protocols = protocols(&config);
                let own = self.sockets.for_listener(&config.name, protocols, config.listen, key, kept);
                Place::Bound(own.await?)
            }
        };
        let open = match &place {
            Place::Stays(_) => self.gateway.ports(&config.name),
            Place::Bound(_) | Place::AtCore(_) => Vec::new(),
        };
        let mut ports = Vec::new();
        for place in port_places(&config).filter(|place| !open.contains(&place.address.port())) {
            ports.push(self.sockets.take_or_bind(place, "ports of the [[listener]]", kept).await?);
        }
        plan.next.push(Planned { config, filter, place, ports });
        Ok(())
    }

    /// Does what was planned: new addresses have been bound before old ones are closed, and what stays as it is, is not touched.
    ///
    /// # Errors
    /// A socket cannot be used, or nothing is served any more.
    pub(crate) fn carry_out(&self, plan: Plan) -> anyhow::Result<()> {
        let old = self.open.read().clone();
        let mut next = Vec::with_capacity(plan.next.len());
        let mut new_sockets = BTreeMap::new();
        for planned in plan.next {
            new_sockets.append(&mut planned.new_sockets()?);
            let Planned { config, filter, place, ports } = planned;
            let address = match place {
                Place::Stays(open) if open.config == config => open.address,
                Place::Stays(open) => {
                    self.gateway.configure(config.clone())?;
                    open.address
                }
                Place::Bound(sockets) => self.begin(sockets, &config)?,
                Place::AtCore(address) => address,
            };
            self.gateway
                .close_ports(&config.name, |port| config.ports.is_some_and(|ports| ports.ports().contains(&port)));
            for socket in ports {
                let BoundSocket::Tcp(socket) = socket else { continue };
                let serving = self.gateway.open_port(&config.name, TcpListener::from_std(socket)?)?;
                self.serve(Box::pin(serving))?;
            }
            next.push(Open { config, filter, address });
        }
        let places: BTreeSet<SocketPlace> = next.iter().flat_map(Open::places).collect();
        self.sockets.keep(new_sockets, &places);
        let addresses = places.into_iter().map(|place| place.address);
        self.native.set_own_listeners(addresses.chain(*self.api.read()));
        self.open.write().clone_from(&next);
        for old in old {
            let name = &old.config.name;
            if !next.iter().any(|open| open.config.name == *name) && self.gateway.close(name) {
                tracing::info!(listener = %name, address = %old.address, "listener is closed");
            }
            let is_used = |id| next.iter().any(|open| open.config.filter == Some(id));
            if let Some(filter) = old.config.filter.filter(|filter| !is_used(*filter)) {
                self.remove_filters(&[filter]);
            }
        }
        Ok(())
    }

    /// Opens a listener in the place of the one with its name, if there is one.
    fn begin(&self, sockets: Vec<BoundSocket>, config: &GatewayConfig) -> anyhow::Result<SocketAddr> {
        let sockets = listener_sockets(sockets)?;
        let address = sockets.local_addr()?;
        self.gateway.close(&config.name);
        let serving = self.gateway.open(config.clone(), sockets, &self.stop)?;
        self.serve(Box::pin(serving))?;
        Ok(address)
    }

    fn serve(&self, serving: Serving) -> anyhow::Result<()> {
        self.begin.send(serving).map_err(|_| anyhow!("no listener is served any more"))
    }

    /// Serves every listener until the stop, and then until all have drained.
    ///
    /// # Errors
    /// A listener panicked.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let mut begun = self.begun.lock().await;
        let mut serving = JoinSet::new();
        let mut is_draining = false;
        loop {
            tokio::select! {
                // From now on the system refuses new clients, and a successor can have the addresses.
                () = self.stop.cancelled(), if !is_draining => {
                    is_draining = true;
                    self.sockets.clear();
                }
                () = self.handed_over.cancelled(), if !is_draining => is_draining = true,
                Some(listener) = begun.recv() => {
                    serving.spawn(supervise::named("gateway", listener));
                }
                Some(ended) = serving.join_next() => ended.context("a listener panicked")?,
                () = std::future::ready(()), if is_draining && serving.is_empty() => return Ok(()),
            }
        }
    }

    fn remove_filters(&self, filters: &[FilterId]) {
        for filter in filters {
            self.pool.remove_filter(*filter);
        }
    }
}
