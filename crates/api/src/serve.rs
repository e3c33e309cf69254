//! The listener of the API: bounded connections, bounded heads, a graceful end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::Secret;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Control, guard::Guard, routes};

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
pub struct ServeError(#[from] std::io::Error);

/// Serves the API until `stop` is cancelled; open requests get a few seconds to end.
///
/// # Errors
/// [`ServeError`] when the listener's own address cannot be read.
pub async fn serve(
    listener: TcpListener,
    config: ApiConfig,
    control: Arc<dyn Control>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let guard = Guard::new(config.token, listener.local_addr()?, config.hosts);
    let router = routes::router(control, guard);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "api accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let router = router.clone();
        let stop = stop.clone();
        tasks.spawn(async move {
            connection(stream, peer, router, stop).await;
            drop(place);
        });
    }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("api requests were cut off at the end");
    }
    Ok(())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: axum::Router, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
