//! Sites that answer in other ways.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{
    super::{RealityAccepted, RealityServer, SiteConnector, client_hello::FirstProtocol},
    world::{NAME, Script, TestSite, World, answer, attempt, client, hear_hello, hello_of, record, records, scripted},
};
use crate::{BoxStream, Prefixed, io::read_through::ReadThrough, security::tap::Tap, testing::Authority};

fn script(lengths: &[usize]) -> Script {
    Script { suite: 0x1302, group: 0x001d, lengths: lengths.to_vec() }
}

const APART: [usize; 4] = [32, 1800, 101, 90];

/// A site that says these bytes, in pieces, to a hello, and ends if it is told to.
fn saying(pieces: Vec<Vec<u8>>, ends: bool) -> impl SiteConnector {
    TestSite(move |mut io: DuplexStream| {
        let pieces = pieces.clone();
        async move {
            if hear_hello(&mut io).await.is_none() {
                return;
            }
            for piece in &pieces {
                let _ = io.write_all(piece).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if !ends {
                let _ = io.read_to_end(&mut Vec::new()).await;
            }
        }
    })
}

/// What a client hears on the wire, whatever becomes of it, and whether it was let in.
async fn hear(world: &World) -> (Vec<u8>, bool) {
    let (ours, accepted) = world.connect();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let tapped = ReadThrough { reader: Tap(Arc::clone(&heard)), inner: ours };
    let (client, attempt) = (client(&world.settings()), attempt());
    let serve = async {
        match accepted.await {
            Ok(RealityAccepted::Stranger(relay)) => {
                relay.run.await;
                false
            }
            Ok(RealityAccepted::Client(_)) => true,
            Ok(RealityAccepted::Over) | Err(_) => false,
        }
    };
    let meet = async { drop(client.wrap(Box::new(tapped), &attempt).await) };
    let ((), known) = tokio::join!(meet, serve);
    let heard = heard.lock().clone();
    (heard, known)
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_imitated_is_passed_on() {
    let sample = {
        let world = World::new(scripted(script(&APART)));
        super::world::whole(&hello_of(&world.settings()).await)
    };
    let whole = answer(&sample, &script(&APART));
    let hello = records(&whole)[0].to_vec();
    let mut retry = hello.clone();
    retry[11..43]
        .copy_from_slice(&hex::decode("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c").unwrap());
    let mut old = hello.clone();
    old[5 + 4 + 2 + 32 + 33 + 3 + 2 + 5] = 3;
    let changed = record(20, &[1]);
    for (case, bytes) in [
        ("retry", [&retry[..], &changed].concat()),
        ("TLS 1.2", [&old[..], &record(22, &[11; 3000])].concat()),
        ("alert", record(21, &[2, 40])),
        ("early end", hello.clone()),
        ("no change of ciphers", [&hello[..], &record(23, &[1; 2000])].concat()),
        ("three records", answer(&sample, &script(&[32, 1800, 101]))),
        ("no room for a certificate", answer(&sample, &script(&[32, 150, 101, 90]))),
        ("a record in between", [&whole[..whole.len() - 90], &record(21, &[1, 0])].concat()),
        ("too long", [&hello[..], &changed, &[23, 3, 3, 0x50, 0], &[1; 0x5000]].concat()),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ] {
        for size in [7, 1000, usize::MAX] {
            let world = World::new(saying(bytes.chunks(size).map(<[u8]>::to_vec).collect(), true));
            let (heard, known) = hear(&world).await;
            assert!(!known && bytes.starts_with(&heard) && !heard.is_empty(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_may_be_slow() {
    for lengths in [&APART[..], &[3000], &[32, 1800, 101, 90, 300, 400]] {
        let world = World::new(TestSite(move |mut io: DuplexStream| async move {
            let Some(hello) = hear_hello(&mut io).await else { return };
            for piece in answer(&hello, &script(lengths)).chunks(37) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if io.write_all(piece).await.is_err() {
                    return;
                }
            }
            let _ = io.read_to_end(&mut Vec::new()).await;
        }));
        let (heard, known) = hear(&world).await;
        assert!(known);
        let heard: Vec<usize> = records(&heard).iter().skip(2).map(|record| record.len()).collect();
        assert!(lengths.starts_with(&heard) && heard.len() >= lengths.len().min(4).min(1));
    }
}

/// What a hello's answer is followed by, byte by byte, up to the end.
async fn after_the_answer(said: &[u8]) -> Vec<usize> {
    let world = World::new(scripted(script(&APART)));
    let hello = hello_of(&world.settings()).await;
    let (mut ours, accepted) = world.connect();
    let talk = async {
        ours.write_all(&hello).await.unwrap();
        let mut heard = vec![0; answer(&super::world::whole(&hello), &script(&APART)).len()];
        ours.read_exact(&mut heard).await.unwrap();
        ours.write_all(said).await.unwrap();
        let mut heard = Vec::new();
        ours.read_to_end(&mut heard).await.unwrap();
        records(&heard).iter().map(|record| record.len()).collect()
    };
    let (heard, accepted) = tokio::join!(talk, accepted);
    assert!(matches!(accepted, Ok(RealityAccepted::Over)));
    heard
}

#[tokio::test(start_paused = true)]
async fn a_wrong_finished_gets_an_alert_as_at_the_site() {
    let change = record(20, &[1]);
    let alert = vec![5 + 2 + 1 + 16];
    assert_eq!(after_the_answer(&[&change[..], &record(23, &[1; 69])].concat()).await, alert);
    assert_eq!(after_the_answer(&record(23, &[1; 69])).await, alert);
    assert_eq!(after_the_answer(&record(23, &[1; 5])).await, alert);
    assert_eq!(after_the_answer(&record(23, &[1; 5000])).await, alert);
    assert_eq!(after_the_answer(&record(22, &[1; 69])).await, alert);
    assert_eq!(after_the_answer(&change.repeat(17)).await, alert);
    assert!(after_the_answer(&record(21, &[2, 42])).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_site_that_ends_ends_the_client() {
    let world = World::new(TestSite(|mut io: DuplexStream| async move {
        let Some(hello) = hear_hello(&mut io).await else { return };
        let _ = io.write_all(&answer(&hello, &script(&[32, 1800, 101, 90]))).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        // An alert, and the end.
        let _ = io.write_all(&record(23, &[9; 19])).await;
    }));
    let hello = hello_of(&world.settings()).await;
    let (mut ours, accepted) = world.connect();
    let talk = async {
        ours.write_all(&hello).await.unwrap();
        let mut heard = Vec::new();
        ours.read_to_end(&mut heard).await.unwrap();
        records(&heard).last().unwrap().len()
    };
    let (last, accepted) = tokio::join!(talk, accepted);
    assert_eq!(last, 24);
    assert!(matches!(accepted, Ok(RealityAccepted::Over)));
}

/// Tickets and what else the site says by itself come at the same place with the same lengths.
#[tokio::test(start_paused = true)]
async fn what_the_site_says_after_a_handshake_is_learned() {
    let authority = Authority::new();
    let site = authority.server(&[NAME, "other.example"], &["h2", "http/1.1"]).0;
    let world = World::new(TestSite(move |io: DuplexStream| {
        let site = site.clone();
        async move {
            let Ok(mut stream) = site.accept(io).await else { return };
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if h2 && stream.write_all(&[0; 27]).await.is_ok() {
                let _ = stream.flush().await;
            }
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }));
    assert_eq!(world.server.check_site().await, []);
    let after = |first| world.server.profiles.records_after(NAME, first);
    let (none, http1, http2) = (after(FirstProtocol::None), after(FirstProtocol::Http1), after(FirstProtocol::Http2));
    assert!(!none.is_empty() && none == http1);
    assert_eq!(http2.len(), none.len() + 1);
    assert!(http2.contains(&(5 + 27 + 17)));
    let heard = world.talk(&client(&world.settings())).await;
    let lengths: Vec<usize> = records(&heard).iter().map(|record| record.len()).collect();
    assert_eq!(lengths[3..3 + http2.len()], http2[..]);
    // The word, and the end.
    assert_eq!(lengths[3 + http2.len()..], [5 + 4 + 17, 5 + 2 + 17]);
}

/// rustls passes over two records of ChangeCipherSpec, and then so do we.
#[tokio::test(start_paused = true)]
async fn as_many_changes_of_ciphers_are_tolerated_as_by_the_site() {
    let site = Authority::new().server(&[NAME, "other.example"], &["h2"]).0;
    let world = World::new(TestSite(move |io: DuplexStream| {
        let site = site.clone();
        async move {
            if let Ok(mut stream) = site.accept(io).await {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    }));
    assert_eq!(world.server.check_site().await, []);
    assert_eq!(world.server.profiles.tolerated_changes(NAME), 2);
    let patient = World::new(scripted(script(&APART)));
    patient.server.check_site().await;
    assert_eq!(patient.server.profiles.tolerated_changes(NAME), usize::MAX);
    assert_eq!(patient.server.profiles.tolerated_changes("unknown.example"), 16);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_cannot_be_used_is_named() {
    let world = World::new(saying(vec![record(21, &[2, 40])], true));
    let unusable = world.server.check_site().await;
    assert_eq!(unusable.iter().map(|site| &*site.name).collect::<Vec<_>>(), [NAME, "other.example"]);
    assert_eq!(&*unusable[0].why, "the site's answer is no ServerHello");
    let old = Authority::new();
    let versions = &[&rustls::version::TLS12];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let site = old.server_of(&[NAME], &["h2"], provider, versions).0;
    let world = World::new(TestSite(move |io: DuplexStream| {
        let site = site.clone();
        async move { drop(site.accept(io).await) }
    }));
    assert_eq!(&*world.server.check_site().await[0].why, "the site does not speak TLS 1.3");
}

/// A listener whose site is itself, by another address of the machine.
struct Back(OnceLock<Weak<RealityServer>>, AtomicUsize);

#[async_trait]
impl SiteConnector for Back {
    async fn connect(&self) -> io::Result<BoxStream> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let server = self.0.get().and_then(Weak::upgrade).ok_or(io::ErrorKind::NotConnected)?;
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(async move {
            if let Ok(RealityAccepted::Stranger(relay)) = server.accept(Box::new(theirs)).await {
                relay.run.await;
            }
        });
        Ok(Box::new(ours))
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_that_leads_back_is_found_out() {
    let back = Arc::new(Back(OnceLock::new(), AtomicUsize::new(0)));
    let world = World::new(Shared(Arc::clone(&back)));
    back.0.set(Arc::downgrade(&world.server)).unwrap();
    for site in world.server.check_site().await {
        assert_eq!(&*site.why, "the site is this very listener");
    }
    let connections = back.1.load(Ordering::Relaxed);
    assert!(connections < 100, "{connections}");
    let (mut ours, accepted) = world.connect();
    ours.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(accepted.await, Ok(RealityAccepted::Over)));
    assert_eq!(back.1.load(Ordering::Relaxed), connections);
}

/// Whoever watches our way to a real site can send us our own hello, and nobody else may suffer from it.
#[tokio::test(start_paused = true)]
async fn a_hello_that_a_watcher_sends_back_closes_the_listener_for_nobody() {
    // It refuses HTTP/1.1.
    let site = Authority::new().server(&[NAME, "other.example"], &["h2"]).0;
    let watched: Arc<OnceLock<Weak<RealityServer>>> = Arc::default();
    let sent_back: Arc<Mutex<HashSet<Vec<u8>>>> = Arc::default();
    let (listener, seen) = (Arc::clone(&watched), Arc::clone(&sent_back));
    let world = World::new(TestSite(move |mut io: DuplexStream| {
        let (site, listener, seen) = (site.clone(), Arc::clone(&listener), Arc::clone(&seen));
        async move {
            let Some(hello) = hear_hello(&mut io).await else { return };
            let hello = record(22, hello.message());
            let server = listener.get().and_then(Weak::upgrade);
            // The listener visits the site for the watcher, too, who is content with one hello of a kind.
            if let Some(server) = server.filter(|_| seen.lock().insert(hello.clone())) {
                let (mut ours, theirs) = duplex(1 << 16);
                ours.write_all(&hello).await.unwrap();
                assert!(matches!(server.accept(Box::new(theirs)).await, Ok(RealityAccepted::Over)));
            }
            if let Ok(mut stream) = site.accept(Prefixed::new(hello.into(), io)).await {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    }));
    watched.set(Arc::downgrade(&world.server)).unwrap();
    assert_eq!(world.server.check_site().await, []);
    assert!(!sent_back.lock().is_empty());
    let (mut ours, accepted) = world.connect();
    ours.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(accepted.await, Ok(RealityAccepted::Stranger(_))));
}

struct Shared(Arc<Back>);

#[async_trait]
impl SiteConnector for Shared {
    async fn connect(&self) -> io::Result<BoxStream> {
        self.0.connect().await
    }
}
