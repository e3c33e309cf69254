//! What every route of the API works with.

use std::sync::Arc;

use axum::http::HeaderMap;
use hyper::body::Bytes;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::{
    ApiError, Caller, Control,
    guard::{Guard, bearer},
    metrics_page::MetricsPage,
    sign_in::PageAccess,
};

/// Answers that walk over all nodes and are made at a time; each takes a core.
const HEAVY: usize = 2;
/// Clients that watch events at a time.
const READERS: usize = 64;

/// What every route of the API works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) metrics: Arc<MetricsPage>,
    pub(crate) node_metrics: Arc<MetricsPage>,
    pub(crate) page: Arc<PageAccess>,
    /// The OpenAPI document.
    pub(crate) document: Bytes,
    /// Places for clients that watch events.
    pub(crate) readers: Arc<Semaphore>,
    /// The end of the program, or of trust in the token: answers that last end with it.
    pub(crate) stop: CancellationToken,
    heavy: Arc<Semaphore>,
}

impl ApiState {
    pub(crate) fn new(
        control: Arc<dyn Control>,
        guard: Guard,
        page: Arc<PageAccess>,
        document: String,
        stop: CancellationToken,
    ) -> Self {
        Self {
            control,
            page,
            guard: Arc::new(guard),
            metrics: Arc::default(),
            node_metrics: Arc::default(),
            document: document.into(),
            readers: Arc::new(Semaphore::new(READERS)),
            stop,
            heavy: Arc::new(Semaphore::new(HEAVY)),
        }
    }

    /// Who sends a request: by the token of the configuration, or by one of the store.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`]: no token, or one that is not known.
    pub(crate) fn caller_of(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let stored = |error| bearer(headers).and_then(|token| self.control.caller(token)).ok_or(error);
        self.guard.caller(headers).or_else(stored)
    }

    /// Makes an answer that takes long, off the threads that carry traffic and a few at a time.
    pub(crate) async fn off_thread<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&dyn Control) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.heavy).acquire_owned().await.map_err(|_| ApiError::Unavailable)?;
        let control = Arc::clone(&self.control);
        let made = spawn_blocking(move || {
            // The work goes on when its client hangs up, and so does its place.
            let _permit = permit;
            answer(&*control)
        });
        made.await.map_err(|_| ApiError::Internal)
    }
}
