//! Accepts connections of the API: bounds connections and heads, and drains at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::Secret;
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
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Control,
    connection_slots::{ConnectionSlots, HeldSlots},
    guard::Guard,
    peer::Peer,
    router,
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

/// How the API is reached.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The token that every `/api` request must carry.
    pub token: Secret,
    /// Host names, besides addresses and `localhost`, under which the API may be asked.
    pub hosts: Vec<String>,
}

/// The listener failed.
#[derive(Debug, Error)]
#[error("the API listener failed: {0}")]
pub struct ApiServeError(#[from] std::io::Error);

/// Serves the API until `stop` is cancelled; open requests get a few seconds to end.
///
/// # Errors
/// [`ApiServeError`] when the listener's own address cannot be read.
pub async fn serve(
    listener: TcpListener,
    config: ApiConfig,
    control: Arc<dyn Control>,
    stop: CancellationToken,
) -> Result<(), ApiServeError> {
    let guard = Guard::new(config.token, listener.local_addr()?, config.hosts);
    serve_router(listener, router::router(control, guard, stop.clone()), stop).await;
    Ok(())
}

/// Serves these paths until `stop` is cancelled.
pub(crate) async fn serve_router(listener: TcpListener, router: axum::Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let by_address = ConnectionSlots::default();
    let tasks = TaskTracker::new();
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
        let Some(slot_of_address) = by_address.take(peer.ip()) else {
            tracing::debug!(%peer, "api connection refused: its address has too many open");
            continue;
        };
        // An upgraded connection lives on after its task: its stream holds the slots.
        let held = HeldSlots::new(slot, slot_of_address);
        let stream = ApiStream::new(stream, held.clone());
        tasks.spawn(connection(stream, peer, held, router.clone(), stop.clone()));
    }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("api requests were cut off at the end");
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
    stream: ApiStream<TcpStream, HeldSlots>,
    peer: SocketAddr,
    held: HeldSlots,
    router: axum::Router,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        request.extensions_mut().insert(held.clone());
        TowerToHyperService::new(router.clone()).call(request)
    });
    let served = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "api connection ended");
    }
}
