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

#[cfg(test)]
mod tests {
    use super::*;

    /// A site that is there when it is told to be.
    struct Sometimes(AtomicBool);

    #[async_trait]
    impl SiteConnector for Sometimes {
        async fn connect(&self) -> io::Result<BoxStream> {
            if self.0.load(Ordering::Relaxed) {
                return Ok(Box::new(tokio::io::empty()));
            }
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    #[tokio::test]
    async fn each_change_is_noticed_once() {
        let site = Arc::new(Sometimes(AtomicBool::new(true)));
        let watched = WatchedSite::new(Arc::<Sometimes>::clone(&site), "site.example".into());
        for is_there in [true, false, false, true, true, false] {
            site.0.store(is_there, Ordering::Relaxed);
            assert_eq!(watched.connect().await.is_ok(), is_there);
            assert_eq!(watched.is_gone.load(Ordering::Relaxed), !is_there);
        }
    }
}
