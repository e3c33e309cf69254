//! Whoever is no client talks to the site, and to nobody else.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Reality, ShortId};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
};

use super::{
    super::{RealityAccepted, SiteConnector, unix_time},
    world::{NAME, Script, TestSite, World, answer, hello_of, scripted, whole},
};
use crate::{BoxStream, served::StrangerReason};

const SCRIPT: Script = Script { suite: 0x1301, group: 0x001d, lengths: Vec::new() };

fn script() -> Script {
    Script { lengths: vec![32, 1800, 101, 74], ..SCRIPT }
}

/// What each connection of a site has heard, once it is over.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A site that says the complement of every byte, and a word at the end.
fn contrary() -> (impl SiteConnector, Heard) {
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    let site = TestSite(move |mut io: DuplexStream| {
        let kept = Arc::clone(&kept);
        async move {
            let (mut all, mut bytes) = (Vec::new(), vec![0; 1000]);
            while let Ok(length @ 1..) = io.read(&mut bytes).await {
                all.extend_from_slice(&bytes[..length]);
                let said: Vec<u8> = bytes[..length].iter().map(|byte| !byte).collect();
                let _ = io.write_all(&said).await;
            }
            kept.lock().push(all);
            let _ = io.write_all(b"end").await;
        }
    });
    (site, heard)
}

/// Sends bytes in two pieces, ends, and returns what came back and why we were no client.
async fn probe(world: &World, bytes: &[u8], cut: usize) -> (Option<StrangerReason>, Vec<u8>) {
    let (mut ours, accepted) = world.connect();
    let serve = async {
        match accepted.await.unwrap() {
            RealityAccepted::Stranger(relay) => {
                relay.run.await;
                Some(relay.why)
            }
            RealityAccepted::Client(_) => panic!("a stranger was let in"),
            RealityAccepted::Over => None,
        }
    };
    let talk = async {
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        for piece in [first, second] {
            ours.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        ours.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let _ = ours.read_to_end(&mut heard).await;
        heard
    };
    let (why, heard) = tokio::join!(serve, talk);
    (why, heard)
}

#[tokio::test(start_paused = true)]
async fn strangers_talk_to_the_site_alone() {
    let (site, heard) = contrary();
    let world = World::new(site);
    let settings = world.settings();
    let other_key = World::new(contrary().0).public_key;
    let hello = |settings: Reality| async move { hello_of(&settings).await };
    let ours = hello(settings.clone()).await;
    let wrong_key = hello(Reality { public_key: other_key, ..settings.clone() }).await;
    let wrong_id = hello(Reality { short_id: ShortId::new(&[1]).unwrap(), ..settings.clone() }).await;
    let wrong_name = hello(Reality { server_name: Some("elsewhere.example".into()), ..settings.clone() }).await;
    let more = [&ours[..], &[20, 3, 3, 0, 1, 1]].concat();
    let mut changed = ours.clone();
    *changed.last_mut().unwrap() ^= 1;
    let old = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n".to_vec(), StrangerReason::Protocol),
        (vec![0; 3000], StrangerReason::Protocol),
        (vec![22; 3000], StrangerReason::Protocol),
        (old, StrangerReason::Protocol),
        (wrong_key, StrangerReason::Credential),
        (wrong_id, StrangerReason::Credential),
        (changed, StrangerReason::Credential),
        (wrong_name, StrangerReason::Protocol),
        (more, StrangerReason::Protocol),
    ] {
        let inverse: Vec<u8> = bytes.iter().map(|byte| !byte).chain(*b"end").collect();
        for cut in [0, 1, 100, usize::MAX] {
            let (why, answer) = probe(&world, &bytes, cut).await;
            assert_eq!(answer, inverse, "{expected:?} at {cut}");
            assert!(heard.lock().contains(&bytes));
            // Cut into pieces, it is answered before it is whole, as this site does it.
            let spoken_first = cut != usize::MAX && why == Some(StrangerReason::Protocol);
            assert!(why == Some(expected) || spoken_first, "{why:?} instead of {expected:?}");
        }
    }
    // A client's own hello, in front of a site that speaks no TLS.
    let inverse: Vec<u8> = ours.iter().map(|byte| !byte).chain(*b"end").collect();
    assert_eq!(probe(&world, &ours, usize::MAX).await, (Some(StrangerReason::Protocol), inverse));
}

#[tokio::test(start_paused = true)]
async fn half_a_hello_is_too_short() {
    let world = World::new(scripted(script()));
    let bytes = hello_of(&world.settings()).await;
    for length in [3, 100, bytes.len() - 1] {
        assert_eq!(probe(&world, &bytes[..length], usize::MAX).await, (Some(StrangerReason::TooShort), Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_comes_again_gets_the_answer_of_the_site() {
    let script = script();
    let world = World::new(scripted(script.clone()));
    let bytes = hello_of(&world.settings()).await;
    let expected = answer(&whole(&bytes), &script);
    let meet = async {
        let (mut ours, accepted) = world.connect();
        ours.write_all(&bytes).await.unwrap();
        let said = async {
            let mut said = vec![0; expected.len()];
            ours.read_exact(&mut said).await.unwrap();
            ours.shutdown().await.unwrap();
            said
        };
        tokio::join!(said, accepted)
    };
    let (said, accepted) = meet.await;
    assert!(matches!(accepted, Ok(RealityAccepted::Over)));
    assert!(said != expected && said.len() == expected.len());
    for _ in 0..3 {
        assert_eq!(probe(&world, &bytes, usize::MAX).await, (Some(StrangerReason::Replayed), expected.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_may_differ_by_a_minute() {
    let world = World::new(scripted(script()));
    let now = unix_time();
    for (ahead, expected) in [
        (61, Err(StrangerReason::Clock)),
        (-61, Err(StrangerReason::Clock)),
        (55, Ok(())),
        (-55, Ok(())),
        (100_000, Err(StrangerReason::Clock)),
    ] {
        let hello = whole(&hello_of(&world.settings()).await);
        let shown = now.saturating_add_signed(ahead + if ahead > 60 { 5 } else { 0 });
        assert_eq!(world.server.judge(&hello, shown).map(drop), expected, "{ahead}");
    }
}

#[tokio::test(start_paused = true)]
async fn letters_of_a_name_may_be_large() {
    let world = World::new(scripted(script()));
    for name in [NAME, "SITE.example", "other.example"] {
        let settings = Reality { server_name: Some(name.into()), ..world.settings() };
        let hello = whole(&hello_of(&settings).await);
        assert!(world.server.judge(&hello, unix_time()).is_ok(), "{name}");
    }
}

/// A port that is scanned costs nothing: nobody is dialled for who says nothing and ends.
#[tokio::test(start_paused = true)]
async fn the_site_is_dialled_for_the_first_byte_or_for_silence() {
    let (site, heard) = contrary();
    let world = World::new(site);
    // The visits of our own are over first.
    world.server.begin_learning();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(std::mem::take(&mut *heard.lock()).len(), 14);
    let (ours, accepted) = world.connect();
    drop(ours);
    assert!(matches!(accepted.await, Ok(RealityAccepted::Over)));
    assert!(heard.lock().is_empty());
    let (mut ours, accepted) = world.connect();
    let silent = async {
        let mut said = Vec::new();
        // It ends at the site's end alone, and at ours here.
        tokio::time::sleep(Duration::from_secs(6)).await;
        ours.shutdown().await.unwrap();
        ours.read_to_end(&mut said).await.unwrap();
        said
    };
    let serve = async {
        let Ok(RealityAccepted::Stranger(relay)) = accepted.await else { panic!("no stranger") };
        relay.run.await;
    };
    let (said, ()) = tokio::join!(silent, serve);
    assert_eq!(said, b"end");
}

struct Dial(std::net::SocketAddr);

#[async_trait]
impl SiteConnector for Dial {
    async fn connect(&self) -> io::Result<BoxStream> {
        Ok(Box::new(TcpStream::connect(self.0).await?))
    }
}

#[tokio::test]
async fn a_reset_of_the_site_is_one_of_ours() {
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::new(Dial(site.local_addr().unwrap()));
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resets = async {
        loop {
            let (mut io, _) = site.accept().await.unwrap();
            let mut heard = [0; 8];
            // The visits of our own say other bytes.
            let _ = io.read(&mut heard).await;
            io.set_zero_linger().unwrap();
        }
    };
    let serve = async {
        let (io, _) = front.accept().await.unwrap();
        if let Ok(RealityAccepted::Stranger(relay)) = world.server.accept(Box::new(io)).await {
            relay.run.await;
        }
    };
    let talk = async {
        let mut io = TcpStream::connect(front.local_addr().unwrap()).await.unwrap();
        io.write_all(b"GET / HT").await.unwrap();
        io.read(&mut [0; 8]).await
    };
    let result = tokio::select! {
        () = resets => panic!("it has no end"),
        ((), result) = async { tokio::join!(serve, talk) } => result,
    };
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
