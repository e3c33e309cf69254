//! REALITY listeners, and the site that they show to whoever is no client: a real one, or the listener's own.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::Target;
use hezar_engine::{
    AddressPolicy, Attempt, BoxStream, BuildError, Dialer, Engine, TlsServer,
    server::{RealityServer, RealitySettings, SiteConnector, UnusableSite},
};
use tokio::{io::duplex, time::Instant};

use super::build::alpn_of_site;
use crate::{GatewayConfig, InboundConfig, InboundReality, RealitySite, fallback::Fallback};

/// How long it may take to reach a real site.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the listener's own site waits for a request.
const SITE_PATIENCE: Duration = Duration::from_secs(60);
/// The bytes between a connection and the listener's own site, in each direction.
const BETWEEN: usize = 64 * 1024;

/// What strangers of a listener may be led to.
pub(super) struct Sites<'a> {
    /// What answers them where the listener does it itself.
    pub(super) fallback: Option<&'a Arc<Fallback>>,
    /// This machine's own sockets.
    pub(super) direct: &'a Arc<dyn Dialer>,
}

/// The server of these settings.
///
/// # Errors
/// [`BuildError`] when they have no key, no name, or no site.
pub(super) fn server(
    config: &GatewayConfig,
    inbound: &InboundConfig,
    settings: &InboundReality,
    sites: &Sites<'_>,
) -> Result<Arc<RealityServer>, BuildError> {
    let server = in_front_of(site(config, inbound, &settings.site, sites)?, settings)?;
    server.begin_learning();
    Ok(server)
}

fn in_front_of(site: Arc<dyn SiteConnector>, settings: &InboundReality) -> Result<Arc<RealityServer>, BuildError> {
    let private_key = settings.private_key.as_ref().ok_or(BuildError::Invalid("REALITY has no private key"))?;
    let settings = RealitySettings {
        private_key: *private_key.expose(),
        short_ids: settings.short_ids.as_slice().to_vec(),
        server_names: settings.server_names.iter().map(|name| name.as_str().into()).collect(),
        max_clock_difference: settings.max_clock_difference,
    };
    RealityServer::new(settings, site)
}

/// Visits the real site of a REALITY listener through this machine's own sockets, and returns the names under which its answers cannot be
/// imitated: clients that ask for these get the site. Takes some seconds. The listener's own site is not looked at.
///
/// # Errors
/// [`BuildError`] when the settings have no key or no name.
pub async fn check_reality_site(
    settings: &InboundReality,
    engine: &dyn Engine,
) -> Result<Vec<UnusableSite>, BuildError> {
    let RealitySite::Foreign(address) = &settings.site else { return Ok(Vec::new()) };
    let direct = engine.direct(AddressPolicy::Any);
    let site = Arc::new(ForeignSite { address: address.clone(), direct });
    Ok(in_front_of(site, settings)?.check_site().await)
}

fn site(
    config: &GatewayConfig,
    inbound: &InboundConfig,
    site: &RealitySite,
    sites: &Sites<'_>,
) -> Result<Arc<dyn SiteConnector>, BuildError> {
    if let RealitySite::Foreign(address) = site {
        return Ok(Arc::new(ForeignSite { address: address.clone(), direct: Arc::clone(sites.direct) }));
    }
    let (Some(tls), Some(fallback)) = (&config.server_tls, sites.fallback) else {
        return Err(BuildError::Invalid("the site of REALITY has no certificate"));
    };
    let tls = TlsServer::new(tls.inbound_config(alpn_of_site(inbound)));
    Ok(Arc::new(OwnSite { tls, fallback: Arc::clone(fallback), idle: config.idle_timeout }))
}

/// A real site. Its address is the operator's, and no byte of a client chooses it.
struct ForeignSite {
    address: Target,
    /// This machine's own sockets.
    direct: Arc<dyn Dialer>,
}

#[async_trait]
impl SiteConnector for ForeignSite {
    async fn connect(&self) -> io::Result<BoxStream> {
        self.direct.connect(&self.address, &Attempt::within(CONNECT)).await.map_err(io::Error::other)
    }
}

/// The listener's own certificate, and the fallback behind it.
struct OwnSite {
    tls: TlsServer,
    fallback: Arc<Fallback>,
    /// How long a connection may be idle.
    idle: Duration,
}

#[async_trait]
impl SiteConnector for OwnSite {
    /// The site ends by itself when the other end of the connection is dropped.
    async fn connect(&self) -> io::Result<BoxStream> {
        let (ours, theirs) = duplex(BETWEEN);
        let (tls, fallback, idle) = (self.tls.clone(), Arc::clone(&self.fallback), self.idle);
        tokio::spawn(async move {
            // A handshake that fails has been answered by an alert, and a challenge by its certificate.
            if let Ok(Some(stream)) = tls.accept_stream(Box::new(theirs)).await {
                fallback.serve(stream, Instant::now() + SITE_PATIENCE, idle).await;
            }
        });
        Ok(Box::new(ours))
    }
}
