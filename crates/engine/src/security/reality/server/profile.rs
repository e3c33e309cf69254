//! What the site sends behind its answer, such as tickets and the settings of HTTP/2: learned by visiting it as a browser does.
//!
//! A site that cannot be imitated is found out here, before a client is.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hezar_core::{Fingerprint, Tls};
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use super::{
    SiteConnector, UnusableSite,
    certificate::CertificateKey,
    client_hello::{ClientHello, FirstProtocol},
    finish::{CHANGE_CIPHER_SPEC, whole_record},
    flight::Answer,
    site::{self, SiteAnswer},
};
use crate::{
    TlsClients,
    io::read_through::ReadThrough,
    security::{
        client_hello::{self, Hello, Shape, random_of, template_of},
        reality::auth::AuthKey,
        tap::{MOST_KEPT, Tap},
    },
};

/// The most names of a site that are visited, and the most records behind the answer that are imitated.
const MOST_NAMES: usize = 8;
const MOST_RECORDS: usize = 8;
/// How long a handshake with the site may take, how long its first bytes after that are waited for, and how long more of them.
const HANDSHAKE: Duration = Duration::from_secs(15);
const FIRST: Duration = Duration::from_secs(5);
const MORE: Duration = Duration::from_secs(1);
/// How long what was learned is believed, and how long the first wait after a failure is.
const LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);
const SOON: Duration = Duration::from_secs(30);

const PROTOCOLS: [FirstProtocol; 3] = [FirstProtocol::None, FirstProtocol::Http1, FirstProtocol::Http2];

/// How many records of ChangeCipherSpec implementations of TLS pass over during one handshake: one as RFC 8446 has it, then rustls, Go, and
/// OpenSSL and BoringSSL. Others have no bound.
const TOLERATED: [usize; 4] = [1, 2, 16, 32];
/// What is taken for a site's number while it is not known.
const USUALLY_TOLERATED: usize = 16;

#[derive(Default)]
struct Learned {
    /// Lengths of records, by a name of the site and the first protocol that was offered.
    after: HashMap<(Box<str>, FirstProtocol), Arc<[usize]>>,
    /// Numbers of records of ChangeCipherSpec, by a name of the site.
    tolerated: HashMap<Box<str>, usize>,
}

/// What is known of one site.
pub(super) struct Profiles {
    site: Arc<dyn SiteConnector>,
    names: Vec<Box<str>>,
    certificates: Arc<CertificateKey>,
    learned: Mutex<Learned>,
    /// The randoms of our own hellos under way, and whether they have come back to us.
    visits: Mutex<HashMap<[u8; 32], bool>>,
    /// Whether the site is this very listener: a hello has come back, and nobody else has answered it.
    leads_back: AtomicBool,
}

impl Profiles {
    /// Nothing is known yet.
    pub(super) fn new(site: Arc<dyn SiteConnector>, names: Vec<Box<str>>, certificates: Arc<CertificateKey>) -> Self {
        let (learned, visits, leads_back) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { site, names, certificates, learned, visits, leads_back }
    }

    /// The lengths of what comes behind the answer; empty while that is not known.
    pub(super) fn records_after(&self, name: &str, first: FirstProtocol) -> Arc<[usize]> {
        self.learned.lock().after.get(&(name.into(), first)).cloned().unwrap_or_default()
    }

    /// How many records of ChangeCipherSpec a client may send during a handshake.
    pub(super) fn tolerated_changes(&self, name: &str) -> usize {
        self.learned.lock().tolerated.get(name).copied().unwrap_or(USUALLY_TOLERATED)
    }

    /// Notes a hello that has come to us. True for one of our own.
    pub(super) fn has_come_back(&self, random: &[u8; 32]) -> bool {
        let mut visits = self.visits.lock();
        let Some(has_come_back) = visits.get_mut(random) else { return false };
        *has_come_back = true;
        true
    }

    /// Notes that nobody has answered one of our hellos. If it has come back, the site is this very listener. Whoever watches our way to a
    /// real site can send us our hello, too, but the site answers it all the same.
    fn note_unanswered(&self, hello: &[u8]) {
        if random_of(hello).and_then(|random| self.visits.lock().get(random).copied()) == Some(true) {
            self.leads_back.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the site is known to be this very listener: whoever were led to it would come back without end.
    pub(super) fn leads_back(&self) -> bool {
        self.leads_back.load(Ordering::Relaxed)
    }

    /// Visits the site now and then, as long as somebody needs to know.
    pub(super) async fn keep_learning(this: Weak<Self>) {
        let mut pause = SOON;
        loop {
            let Some(strong) = this.upgrade() else { return };
            let unusable = strong.learn().await;
            drop(strong);
            for UnusableSite { name, why } in &unusable {
                tracing::warn!(
                    site = &**name,
                    why = &**why,
                    "clients of this REALITY inbound get the site instead of an answer"
                );
            }
            pause = if unusable.is_empty() { LIFETIME } else { pause };
            sleep(pause).await;
            pause = if unusable.is_empty() { SOON } else { LIFETIME.min(pause * 2) };
        }
    }

    /// Visits the site under each of its names, and returns the names under which it cannot be imitated.
    pub(super) async fn learn(&self) -> Vec<UnusableSite> {
        self.leads_back.store(false, Ordering::Relaxed);
        let mut unusable = Vec::new();
        for name in self.names.iter().take(MOST_NAMES) {
            let visits = PROTOCOLS.map(|first| async move { (first, self.visit(name, first).await) });
            let (visits, tolerated) = tokio::join!(join_all(visits), self.count_tolerated_changes(name));
            self.learned.lock().tolerated.insert(name.clone(), tolerated);
            for (first, learned) in visits {
                match learned {
                    Ok(lengths) => {
                        self.learned.lock().after.insert((name.clone(), first), lengths.into());
                    }
                    // This visit decides: clients send the hello of a browser, which offers HTTP/2 first.
                    Err(why) if first == FirstProtocol::Http2 => {
                        let why = if self.leads_back() { "the site is this very listener".into() } else { why };
                        unusable.push(UnusableSite { name: name.clone(), why });
                    }
                    // A site that speaks one protocol alone refuses the others.
                    Err(_) => {}
                }
            }
        }
        self.visits.lock().clear();
        unusable
    }

    /// A hello of our own, which is known again should it come back.
    fn hello(&self, name: &str, first: FirstProtocol) -> Result<Hello, Box<str>> {
        let hello = browser_hello(name, first)?;
        self.visits.lock().extend(random_of(hello.message()).map(|random| (*random, false)));
        Ok(hello)
    }

    /// One visit: the lengths of the records behind the answer, or why the site cannot be imitated.
    async fn visit(&self, name: &str, first: FirstProtocol) -> Result<Vec<usize>, Box<str>> {
        let hello = self.hello(name, first)?;
        let message = hello.message().to_vec();
        let heard = Arc::default();
        let handshake = async {
            let inner = self.site.connect().await.map_err(|error| text("the site cannot be reached", error))?;
            let tapped = ReadThrough { reader: Tap(Arc::clone(&heard)), inner };
            hello.connect(tapped).await.map_err(|cause| text("the site refuses a handshake", cause))
        };
        let met = timeout(HANDSHAKE, handshake).await.unwrap_or_else(|_| Err("the site does not answer".into()));
        // A real site may refuse the other protocols.
        if met.is_err() && first == FirstProtocol::Http2 {
            self.note_unanswered(&message);
        }
        let met = met.map_err(|why| match site::read(&heard.lock()) {
            SiteAnswer::Other(why) => why.into(),
            SiteAnswer::Whole(_) | SiteAnswer::More => why,
        })?;
        self.check_imitation(message, &heard.lock())?;
        listen(met.stream).await;
        let heard = heard.lock();
        let SiteAnswer::Whole(flight) = site::read(&heard) else { return Err("the site breaks off its answer".into()) };
        Ok(record_lengths(heard.get(flight.length()..).unwrap_or_default()))
    }

    /// How many records of ChangeCipherSpec the site passes over.
    async fn count_tolerated_changes(&self, name: &str) -> usize {
        let refused = join_all(TOLERATED.map(|count| self.refuses_changes(name, count + 1))).await;
        TOLERATED.into_iter().zip(refused).find(|(_, refused)| *refused).map_or(usize::MAX, |(count, _)| count)
    }

    /// Whether the site ends a handshake in which so many records of ChangeCipherSpec come.
    async fn refuses_changes(&self, name: &str, count: usize) -> bool {
        let Ok(hello) = self.hello(name, FirstProtocol::Http2) else { return false };
        let visit = async {
            let (mut site, mut heard) = (self.site.connect().await?, Vec::new());
            let [.., high, low] = hello.message().len().to_be_bytes();
            site.write_all(&[&[22, 3, 1, high, low], hello.message()].concat()).await?;
            site.flush().await?;
            while matches!(site::read(&heard), SiteAnswer::More) && site.read_buf(&mut heard).await? > 0 {}
            site.write_all(&CHANGE_CIPHER_SPEC.repeat(count)).await?;
            site.flush().await?;
            // The site may send a ticket before it ends the connection, so its first bytes say nothing.
            Ok(timeout(MORE, listen(site)).await.is_ok())
        };
        timeout(HANDSHAKE, visit).await.is_ok_and(|visit: io::Result<bool>| visit.unwrap_or(true))
    }

    /// Answers our own hello as if a client had sent it: fails where clients would get no answer.
    fn check_imitation(&self, hello: Vec<u8>, heard: &[u8]) -> Result<(), Box<str>> {
        let flight = match site::read(heard) {
            SiteAnswer::Whole(flight) => flight,
            SiteAnswer::More => return Err("the site's answer has neither one encrypted record nor four".into()),
            SiteAnswer::Other(why) => return Err(why.into()),
        };
        let hello = ClientHello::parse(hello).ok_or("our own hello cannot be read")?;
        let answer = Answer::new(&hello, &flight, &AuthKey::default(), &self.certificates);
        answer.map(drop).map_err(|cause| text("the site's answer is too short", cause))
    }
}

fn text(what: &str, why: impl std::fmt::Display) -> Box<str> {
    format!("{what}: {why}").into()
}

/// A browser's hello for a name.
fn browser_hello(name: &str, first: FirstProtocol) -> Result<Hello, Box<str>> {
    let failed = |error: rustls::Error| text("no hello can be made", error);
    let alpn: &[&str] = match first {
        FirstProtocol::None => &[],
        FirstProtocol::Http1 => &["http/1.1"],
        FirstProtocol::Http2 => &["h2", "http/1.1"],
    };
    let anybody = TlsClients::new(&[]).verifier(&Tls { skip_verify: true, ..Tls::default() });
    let shape = Shape::Browser(template_of(Fingerprint::Chrome));
    let config = client_hello::config(shape, anybody, &client_hello::alpn(alpn)).map_err(failed)?;
    let name = ServerName::try_from(name.to_owned()).map_err(|error| text("the name cannot be asked for", error))?;
    Hello::new(shape, Arc::new(config), name, None).map_err(failed)
}

/// Reads what the site sends by itself: until it ends, sends nothing more, or has sent as much as is kept.
async fn listen(mut site: impl AsyncRead + Unpin) {
    let (mut buffer, mut heard, mut patience) = (vec![0; 4096], 0, FIRST);
    while heard < MOST_KEPT {
        match timeout(patience, site.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => heard += length,
            _ => return,
        }
        patience = MORE;
    }
}

/// The lengths of whole records, their headers included.
fn record_lengths(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(length) = whole_record(bytes).filter(|_| lengths.len() < MOST_RECORDS) {
        lengths.push(length);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    lengths
}
