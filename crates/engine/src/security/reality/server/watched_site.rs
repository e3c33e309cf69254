//! Tells the log when the site is gone and when it is back: without it nobody is served, clients neither.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use super::SiteConnector;
use crate::BoxStream;

/// The site, and whether it was gone at the last try.
pub(super) struct WatchedSite {
    site: Arc<dyn SiteConnector>,
    is_gone: AtomicBool,
    /// Its first name, for the log.
    name: Box<str>,
}

impl WatchedSite {
    pub(super) fn new(site: Arc<dyn SiteConnector>, name: Box<str>) -> Self {
        Self { site, is_gone: AtomicBool::new(false), name }
    }
}

#[async_trait]
impl SiteConnector for WatchedSite {
    async fn connect(&self) -> io::Result<BoxStream> {
        let result = self.site.connect().await;
        let was_gone = self.is_gone.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_gone => {
                tracing::warn!(site = &*self.name, %error, "the site of a REALITY inbound cannot be reached: nobody is served");
            }
            Ok(_) if was_gone => tracing::info!(site = &*self.name, "the site of a REALITY inbound is back"),
            _ => {}
        }
        result
    }
}
