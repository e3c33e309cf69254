//! A page of metrics that is made at most once a second, and never on a thread that carries traffic.

use std::{sync::Arc, time::Duration};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use hyper::body::Bytes;
use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};

use crate::{ApiError, Control};

/// How old a page may be.
const AGE: Duration = Duration::from_secs(1);

/// One page as it was made last.
#[derive(Debug, Default)]
pub(crate) struct MetricsPage(Mutex<Option<(Instant, Bytes)>>);

impl MetricsPage {
    /// The page; who asks while it is made waits for it.
    pub(crate) async fn get(
        &self,
        control: &Arc<dyn Control>,
        make: impl FnOnce(&dyn Control) -> String + Send + 'static,
    ) -> Result<Response, ApiError> {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Ok(([(header::CONTENT_TYPE, kind)], self.text(control, make).await?).into_response())
    }

    async fn text(
        &self,
        control: &Arc<dyn Control>,
        make: impl FnOnce(&dyn Control) -> String + Send + 'static,
    ) -> Result<Bytes, ApiError> {
        let mut page = self.0.lock().await;
        if let Some((made, text)) = &*page
            && made.elapsed() < AGE
        {
            return Ok(text.clone());
        }
        let control = Arc::clone(control);
        let text: Bytes = spawn_blocking(move || make(&*control)).await.map_err(|_| ApiError::Internal)?.into();
        *page = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}
