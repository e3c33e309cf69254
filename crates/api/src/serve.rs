//! Accepts connections of the API: bounds connections and heads, follows a changed token, and drains at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_accept::ServerTls;
use hezar_core::{Secret, settings::Networks};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use parking_lot::RwLock;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Control,
    connection_slots::{ConnectionSlots, HeldSlots},
    entrance::{Entrance, Socket},
    guard::Guard,
    peer::Peer,
    router,
    sign_in::PageAccess,
    stream::ApiStream,
};

/// The most connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may go on after the end was asked for.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the first request of a connection is waited for after the end was asked for.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// The paths that are served; a request is answered by those that are there when it comes.
pub(crate) type Routes = Arc<RwLock<axum::Router>>;
/// How a connection that comes now begins.
pub(crate) type Entrances = Arc<RwLock<Entrance>>;

/// How the API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The token that every `/api` request must carry.
    pub token: Secret,
    /// Host names, besides addresses and `localhost`, under which the API may be asked.
    pub hosts: Vec<String>,
    /// Whether nothing is served but `/healthz`, `/readyz` and `/metrics`.
    pub only_health: bool,
    /// Whether `/metrics` answers also who has no token.
    pub open_metrics: bool,
    /// The TLS of the port.
    pub tls: Option<ServerTls>,
    /// Reverse proxies whose `X-Forwarded-For` names the client.
    pub trusted_proxies: Networks,
}

impl ApiConfig {
    fn entrance(&self) -> Entrance {
        Entrance { tls: self.tls.clone(), trusted_proxies: self.trusted_proxies.clone() }
    }
}

/// The listener failed.
#[derive(Debug, Error)]
#[error("the API listener failed: {0}")]
pub struct ApiServeError(#[from] std::io::Error);

/// Serves the API until `stop` is cancelled; open requests get five seconds to end. A changed `config` counts from the next request on and
/// ends no connection; with another token, answers that last and sign-ins of browsers end.
///
/// # Errors
/// [`ApiServeError`] when the listener's own address cannot be read.
pub async fn serve(
    listener: TcpListener,
    mut config: watch::Receiver<ApiConfig>,
    control: Arc<dyn Control>,
    stop: CancellationToken,
) -> Result<(), ApiServeError> {
    let address = listener.local_addr()?;
    let routes_of = |config: ApiConfig, trust: &Trust| {
        let (open_metrics, only_health) = (config.open_metrics, config.only_health);
        let guard = Guard::new(config.token, address, config.hosts);
        let (control, page) = (Arc::clone(&control), Arc::clone(&trust.page));
        if only_health {
            return router::health_router(control, guard, page, trust.stop.clone(), open_metrics);
        }
        router::router(control, guard, page, trust.stop.clone(), open_metrics)
    };
    let mut now = config.borrow_and_update().clone();
    let mut trust = Trust::new(address, &stop);
    let routes = Routes::new(RwLock::new(routes_of(now.clone(), &trust)));
    let entrance = Entrances::new(RwLock::new(now.entrance()));
    let serving = serve_router(listener, Arc::clone(&routes), Arc::clone(&entrance), stop.clone());
    tokio::pin!(serving);
    loop {
        tokio::select! {
            () = &mut serving => return Ok(()),
            Ok(()) = config.changed() => {
                let next = config.borrow_and_update().clone();
                if next.token != now.token {
                    trust.stop.cancel();
                    trust = Trust::new(address, &stop);
                }
                *routes.write() = routes_of(next.clone(), &trust);
                *entrance.write() = next.entrance();
                now = next;
            }
        }
    }
}

/// What holds as long as the token stays the same.
struct Trust {
    /// The browsers that are signed in.
    page: Arc<PageAccess>,
    /// Ends answers that last.
    stop: CancellationToken,
}

impl Trust {
    fn new(address: SocketAddr, stop: &CancellationToken) -> Self {
        Self { page: Arc::new(PageAccess::new(address.port())), stop: stop.child_token() }
    }
}

/// Serves these paths until `stop` is cancelled.
pub(crate) async fn serve_router(listener: TcpListener, routes: Routes, entrances: Entrances, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let by_address = ConnectionSlots::default();
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "api accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let entrance = entrances.read().clone();
        let is_proxy = entrance.trusted_proxies.contains(peer.ip());
        let slot_of_address = by_address.take(peer.ip());
        if slot_of_address.is_none() && !is_proxy {
            tracing::debug!(%peer, "api connection refused: its address has too many open");
            continue;
        }
        // An upgraded connection lives on after its task: its stream holds the slots.
        let held = HeldSlots::new(slot, slot_of_address);
        let (routes, stop) = (Arc::clone(&routes), stop.clone());
        let connection = async move {
            if let Some(stream) = entrance.open(stream, peer).await {
                let stream = ApiStream::new(stream, held.clone());
                connection(stream, peer, Peer::new(peer.ip(), is_proxy), held, routes, stop).await;
            }
        };
        tasks.spawn(cut.clone().run_until_cancelled_owned(connection));
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("api requests were cut off at the end");
        cut.cancel();
    }
}

/// The next connection, as soon as there is room for one.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

async fn connection(
    stream: ApiStream<Box<dyn Socket>, HeldSlots>,
    peer: SocketAddr,
    client: Peer,
    held: HeldSlots,
    routes: Routes,
    stop: CancellationToken,
) {
    let requested = Arc::new(Notify::new());
    let first = Arc::clone(&requested);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let service = service_fn(move |mut request: Request<Incoming>| {
        requested.notify_one();
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(held.clone());
        let router = routes.read().clone();
        TowerToHyperService::new(router).call(request)
    });
    let served = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop.cancelled() => {
            // Whoever has connected just now gets the answer to the request that is on its way.
            tokio::select! {
                outcome = served.as_mut() => outcome,
                _ = tokio::time::timeout(FIRST_REQUEST, first.notified()) => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "api connection ended");
    }
}
