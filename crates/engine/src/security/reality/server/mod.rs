//! A REALITY server (github.com/XTLS/REALITY): it answers its clients itself, and is a relay to the site for everybody else.
//!
//! Every connection begins as a relay ([`meeting`]). A client shows itself in the session id of its hello ([`session_id`]). It gets the site's own
//! ServerHello with another key share, and records as long as the site's ([`site`], [`flight`]), so that a watcher sees the site. Whoever
//! shows nothing, something old or something twice talks to the site itself ([`relay`]) and never sees a byte of ours.

mod certificate;
mod client_hello;
mod finish;
mod flight;
mod meeting;
mod profile;
mod relay;
mod replay;
mod schedule;
mod session_id;
mod site;
#[cfg(test)]
pub(super) mod tests;
mod watched_site;

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::agreement::{PrivateKey, X25519};
use hezar_core::ShortId;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

#[cfg(test)]
pub(super) use self::certificate::sample as sample_certificate;
use self::{
    certificate::CertificateKey, client_hello::ClientHello, finish::Finishing, flight::Answer, meeting::Meeting,
    profile::Profiles, replay::SeenHellos, watched_site::WatchedSite,
};
use super::auth::{AuthKey, unix_time};
use crate::{
    BoxStream, BuildError,
    security::TlsStream,
    served::{SiteRelay, StrangerReason},
};

/// What leads to the site that strangers see.
#[async_trait]
pub trait SiteConnector: Send + Sync {
    /// A new connection to it.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn connect(&self) -> io::Result<BoxStream>;
}

/// The settings of a REALITY server.
pub struct RealitySettings {
    /// The X25519 private key.
    pub private_key: [u8; 32],
    /// The short ids of clients.
    pub short_ids: Vec<ShortId>,
    /// The names of the site that clients ask for.
    pub server_names: Vec<Box<str>>,
    /// How far a client's clock may be from ours; whole seconds, at least one.
    pub max_clock_difference: Duration,
}

/// A name under which the site cannot be imitated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableSite {
    /// The name.
    pub name: Box<str>,
    /// Why.
    pub why: Box<str>,
}

/// The server.
pub struct RealityServer {
    key: PrivateKey,
    short_ids: Vec<[u8; 8]>,
    server_names: Vec<Box<str>>,
    /// In seconds.
    clock_difference: u32,
    seen: Arc<SeenHellos>,
    certificates: Arc<CertificateKey>,
    site: Arc<dyn SiteConnector>,
    profiles: Arc<Profiles>,
    /// The task that learns profiles. It ends with the server.
    learning: OnceLock<AbortOnDropHandle<()>>,
    complained: AtomicBool,
}

impl fmt::Debug for RealityServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealityServer").field("server_names", &self.server_names).finish_non_exhaustive()
    }
}

/// What became of a connection.
pub(crate) enum RealityAccepted {
    /// A client's, secured.
    Client(Box<TlsStream>),
    /// Somebody else's, which talks to the site.
    Stranger(SiteRelay),
    /// It is over.
    Over,
}

impl RealityServer {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] for a key that is none, for no name, and for a difference of clocks below a second.
    pub fn new(settings: RealitySettings, site: Arc<dyn SiteConnector>) -> Result<Arc<Self>, BuildError> {
        let invalid = BuildError::Invalid;
        let key = PrivateKey::from_private_key(&X25519, &settings.private_key);
        let key = key.map_err(|_| invalid("the private key of REALITY is none"))?;
        let public_key = key.compute_public_key().ok().and_then(|key| key.as_ref().try_into().ok());
        let public_key = public_key.ok_or(invalid("the private key of REALITY is none"))?;
        let clock_difference = u32::try_from(settings.max_clock_difference.as_secs()).unwrap_or(u32::MAX);
        if clock_difference == 0 {
            return Err(invalid("clocks may differ by no second"));
        }
        let server_names: Vec<Box<str>> =
            settings.server_names.iter().map(|name| name.to_ascii_lowercase().into()).collect();
        let first_name = server_names.first().cloned().ok_or(invalid("REALITY has no name of its site"))?;
        let site: Arc<dyn SiteConnector> = Arc::new(WatchedSite::new(site, first_name));
        let certificates = CertificateKey::generate().map_err(|_| invalid("no key can be made"))?;
        let certificates = Arc::new(certificates);
        let profiles = Profiles::new(Arc::clone(&site), server_names.clone(), Arc::clone(&certificates));
        Ok(Arc::new(Self {
            key,
            short_ids: settings.short_ids.iter().map(ShortId::padded).collect(),
            server_names,
            clock_difference,
            seen: SeenHellos::of_server(public_key, clock_difference, unix_time()),
            certificates,
            site,
            profiles: Arc::new(profiles),
            learning: OnceLock::new(),
            complained: AtomicBool::new(false),
        }))
    }

    /// Begins to learn what the site sends behind its answer, within a runtime. The first client begins it, too, but gets none of that.
    pub fn begin_learning(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let learning = || runtime.spawn(Profiles::keep_learning(Arc::downgrade(&self.profiles)));
        self.learning.get_or_init(|| AbortOnDropHandle::new(learning()));
    }

    /// Visits the site as a browser does, and returns the names under which it cannot be imitated. Takes some seconds.
    pub async fn check_site(&self) -> Vec<UnusableSite> {
        self.profiles.learn().await
    }

    /// Answers a client; the caller bounds the time. Everybody else talks to the site.
    ///
    /// # Errors
    /// The client's connection failed, or the site cannot be reached.
    pub(crate) async fn accept(&self, client: BoxStream) -> io::Result<RealityAccepted> {
        self.begin_learning();
        if self.profiles.leads_back() {
            return Ok(RealityAccepted::Over);
        }
        let Some((mut meeting, hello)) = Meeting::begin(client, &*self.site).await? else {
            return Ok(RealityAccepted::Over);
        };
        let random = hello.as_ref().ok().and_then(ClientHello::random);
        if random.is_some_and(|random| self.profiles.has_come_back(random)) {
            return Ok(RealityAccepted::Over);
        }
        let known = hello.and_then(|hello| self.judge(&hello, unix_time()).map(|key| (hello, key)));
        let (hello, key) = match known {
            Ok(known) => known,
            Err(why) => return Ok(RealityAccepted::Stranger(relayed(meeting, why))),
        };
        let Some(answer) = self.answer(&mut meeting, &hello, &key).await? else {
            return Ok(RealityAccepted::Stranger(relayed(meeting, StrangerReason::Protocol)));
        };
        let name = hello.server_name().unwrap_or_default();
        let changes = self.profiles.tolerated_changes(name);
        let Some(finishing) = Finishing::run(meeting, answer, changes).await? else { return Ok(RealityAccepted::Over) };
        let after = self.profiles.records_after(name, hello.first_protocol());
        finishing.into_stream(&after).await.map(|stream| RealityAccepted::Client(Box::new(stream)))
    }

    /// Who sent a hello: a client, whose secret comes back, or a stranger. `now` is in Unix seconds.
    fn judge(&self, hello: &ClientHello, now: u32) -> Result<AuthKey, StrangerReason> {
        // First, so that it takes the same time for all who have a key share.
        let opened = session_id::open(&self.key, hello);
        let is_known = |name: &str| self.server_names.iter().any(|known| **known == *name);
        if !hello.offers_tls13() || !hello.server_name().is_some_and(is_known) {
            return Err(StrangerReason::Protocol);
        }
        let (key, shown) = opened.ok_or(StrangerReason::Credential)?;
        if !self.short_ids.contains(&shown.short_id) {
            return Err(StrangerReason::Credential);
        }
        if now.abs_diff(shown.time) > self.clock_difference || self.seen.is_older(shown.time) {
            return Err(StrangerReason::Clock);
        }
        let (Some(random), Some(session_id)) = (hello.random(), hello.session_id()) else {
            return Err(StrangerReason::Protocol);
        };
        if self.seen.note(random, session_id, now) { Ok(key) } else { Err(StrangerReason::Replayed) }
    }

    /// Our answer in the shape of the site's; `None` when that cannot be imitated.
    async fn answer(&self, meeting: &mut Meeting, hello: &ClientHello, key: &AuthKey) -> io::Result<Option<Answer>> {
        let why = match meeting.hear_site().await? {
            Ok(flight) => match Answer::new(hello, &flight, key, &self.certificates) {
                Ok(answer) => {
                    meeting.held.drain(..flight.length());
                    return Ok(Some(answer));
                }
                Err(cause) => cause.to_string(),
            },
            Err(why) => why.to_owned(),
        };
        // The task that learns profiles says it again when it lasts.
        if !self.complained.swap(true, Ordering::Relaxed) {
            let site = hello.server_name().unwrap_or_default();
            tracing::warn!(site, why, "a client of a REALITY inbound got the site instead of an answer");
        }
        Ok(None)
    }
}

fn relayed(meeting: Meeting, why: StrangerReason) -> SiteRelay {
    SiteRelay { why, run: Box::pin(meeting.relay()) }
}

/// What came of bytes: whether they are a hello that offers TLS 1.3, and the records of a site's answer.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) type Decoded = (Option<bool>, Option<Result<Vec<usize>, &'static str>>);

/// Reads bytes in pieces of this size as a client's hello and as a site's answer, for the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(bytes: &[u8], piece: usize) -> Decoded {
    let (mut reader, mut held) = (client_hello::HelloReader::default(), Vec::new());
    let (mut hello, mut flight) = (None, None);
    for piece in bytes.chunks(piece.max(1)) {
        hello = match hello {
            None => match reader.take(piece) {
                client_hello::Progress::More => None,
                client_hello::Progress::Whole(hello) => Some(hello.offers_tls13()),
                client_hello::Progress::NotOne => Some(false),
            },
            // Something follows it.
            Some(_) => Some(false),
        };
        held.extend_from_slice(piece);
        flight = flight.or_else(|| match site::read(&held) {
            site::SiteAnswer::Whole(flight) => Some(Ok(flight.lengths)),
            site::SiteAnswer::Other(why) => Some(Err(why)),
            site::SiteAnswer::More => None,
        });
    }
    (hello, flight)
}
