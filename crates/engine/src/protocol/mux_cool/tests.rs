//! The server's side of mux.cool against frames written down from its definition.

use std::time::Duration;

use hezar_core::Target;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{
    MuxSession,
    wire::{self, Destination, Frame, Status, Step},
};
use crate::{
    protocol::datagram_contract::at,
    served::{
        CredentialId, DatagramRequest, InboundRequest, InboundSession, RequestRefusal, SessionItem, StreamRequest,
    },
    testing::{Chopped, heard},
};

const NEVER: Duration = Duration::from_secs(100);

/// A client's end, and the requests that the server has read.
struct World {
    client: DuplexStream,
    requests: mpsc::UnboundedReceiver<InboundRequest>,
    driver: JoinHandle<()>,
}

impl World {
    fn new(most: usize) -> Self {
        let (ours, client) = duplex(256 * 1024);
        let mut session = MuxSession::new(Box::new(Chopped::new(ours, 3, most)), CredentialId(7));
        let (sender, requests) = mpsc::unbounded_channel();
        let driver = tokio::spawn(async move {
            while let Some(SessionItem::Request(request)) = session.next().await {
                assert_eq!(request.credential(), CredentialId(7));
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { client, requests, driver }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    async fn stream(&mut self) -> StreamRequest {
        match self.requests.recv().await.unwrap() {
            InboundRequest::Stream(request) => request,
            InboundRequest::Datagrams(_) => panic!("no stream"),
        }
    }

    async fn datagrams(&mut self) -> DatagramRequest {
        match self.requests.recv().await.unwrap() {
            InboundRequest::Datagrams(request) => request,
            InboundRequest::Stream(_) => panic!("no datagrams"),
        }
    }

    /// The next frame from the server: session, status, payload and what it says of its destination.
    async fn frame(&mut self) -> (u16, Status, Vec<u8>, Option<Destination>) {
        let mut bytes = Vec::new();
        loop {
            match wire::take(&bytes).unwrap() {
                Step::Need(length) => {
                    let from = bytes.len();
                    bytes.resize(length, 0);
                    self.client.read_exact(&mut bytes[from..]).await.unwrap();
                }
                Step::Frame(frame) => {
                    let payload = frame.payload.clone().map_or_else(Vec::new, |payload| bytes[payload].to_vec());
                    return (frame.session, frame.status, payload, frame.destination(&bytes).unwrap());
                }
            }
        }
    }

    async fn is_silent(&mut self) -> bool {
        timeout(NEVER, self.client.read_u8()).await.is_err()
    }
}

const NEW_STREAM: &[u8] = b"\0\x12\0\x01\x01\x01\x01\x01\xbb\x02\x09a.example\0\x05hello";
const NEW_DATAGRAMS: &[u8] = b"\0\x0c\0\x02\x01\x01\x02\0\x35\x01\x01\x02\x03\x04\0\x03one";

fn keep(session: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 4, 0, session, 2, 1], &(payload.len() as u16).to_be_bytes()[..], payload].concat()
}

const fn end(session: u8) -> [u8; 6] {
    [0, 4, 0, session, 3, 0]
}

#[tokio::test(start_paused = true)]
async fn streams_and_datagrams_beside_each_other() {
    for most in [1, 7, 64 * 1024] {
        let mut world = World::new(most);
        world.send(&[NEW_STREAM, NEW_DATAGRAMS, &keep(1, b", world"), b"\0\x04\0\0\x04\0"].concat()).await;
        let mut stream = world.stream().await;
        assert_eq!(stream.target.to_string(), "a.example:443");
        let mut came = [0; 12];
        stream.stream.read_exact(&mut came).await.unwrap();
        assert_eq!(&came, b"hello, world");
        stream.stream.write_all(b"answer").await.unwrap();
        assert_eq!(world.frame().await, (1, Status::Keep, b"answer".to_vec(), None));
        // Clients of Xray have room for 8 KiB.
        assert_eq!(stream.stream.write(&[7; 20_000]).await.unwrap(), 8192);
        assert_eq!(world.frame().await, (1, Status::Keep, vec![7; 8192], None));

        let datagrams = world.datagrams().await.datagram;
        assert_eq!(heard(&*datagrams).await.unwrap(), (b"one".to_vec(), at("1.2.3.4:53")));
        // An address of its own, and an empty datagram without one.
        world.send(b"\0\x0c\0\x02\x02\x01\x02\0\x36\x01\x05\x06\x07\x08\0\x03two").await;
        world.send(&keep(2, b"")).await;
        assert_eq!(heard(&*datagrams).await.unwrap(), (b"two".to_vec(), at("5.6.7.8:54")));
        assert_eq!(heard(&*datagrams).await.unwrap(), (Vec::new(), at("1.2.3.4:53")));
        datagrams.send_to(b"back", &at("9.9.9.9:53")).await.unwrap();
        let from = Some(Destination::Datagrams(Some(at("9.9.9.9:53"))));
        assert_eq!(world.frame().await, (2, Status::Keep, b"back".to_vec(), from));

        // The client's end of one leaves the other, and an answer that is under way.
        world.send(&end(1)).await;
        assert_eq!(stream.stream.read(&mut came).await.unwrap(), 0);
        stream.stream.write_all(b"rest").await.unwrap();
        stream.stream.shutdown().await.unwrap();
        assert_eq!(world.frame().await.2, b"rest");
        assert_eq!(world.frame().await, (1, Status::End, Vec::new(), None));
        assert!(stream.stream.write_all(b"more").await.is_err());
        drop(datagrams);
        assert_eq!(world.frame().await, (2, Status::End, Vec::new(), None));
        assert!(world.is_silent().await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_served_is_ended() {
    let mut world = World::new(100);
    let new = |session: u8, address: &[u8]| [&[0, 5 + address.len() as u8, 0, session, 1, 0, 1], address].concat();
    // A port that is none, an unknown session, and no destination at all.
    world.send(&new(3, b"\0\0\x01\x01\x02\x03\x04")).await;
    assert_eq!(world.frame().await.0, 3);
    world.send(&keep(4, b"lost")).await;
    assert_eq!(world.frame().await.0, 4);
    world.send(b"\0\x04\0\x05\x01\0").await;
    assert_eq!(world.frame().await.0, 5);
    // One that somebody refuses says so once.
    world.send(&new(6, b"\0\x50\x01\x01\x02\x03\x04")).await;
    let mut refused = world.stream().await.stream;
    refused.refuse(RequestRefusal::Forbidden);
    refused.shutdown().await.unwrap();
    drop(refused);
    assert_eq!(world.frame().await, (6, Status::End, Vec::new(), None));
    assert!(world.is_silent().await);
    // More than may be open at a time.
    let mut open = Vec::new();
    for session in 0..=255_u8 {
        world.send(&[0, 12, 1, session, 1, 0, 1, 0, 80, 1, 1, 2, 3, 4]).await;
        open.push(world.stream().await);
    }
    world.send(&new(7, b"\0\x50\x01\x01\x02\x03\x04")).await;
    assert_eq!(world.frame().await.0, 7);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_no_whole_one() {
    let mut world = World::new(100);
    world.send(&[NEW_STREAM, NEW_DATAGRAMS].concat()).await;
    let mut stream = world.stream().await.stream;
    stream.write_all(b"half").await.unwrap();
    drop(stream);
    assert_eq!(world.frame().await.2, b"half");
    let mut ended = [0; 6];
    world.client.read_exact(&mut ended).await.unwrap();
    assert_eq!(ended, [0, 4, 0, 1, 3, 2], "the end says that it is an error");
    drop(world.datagrams().await);
    world.client.read_exact(&mut ended).await.unwrap();
    assert_eq!(ended, end(2), "datagrams may end at any time");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_ends_its_sessions() {
    for garbage in [&b""[..], b"\0\x04\0\x01\x09\0", b"\0\x01"] {
        let mut world = World::new(100);
        world.send(&[NEW_STREAM, NEW_DATAGRAMS].concat()).await;
        let (mut stream, datagrams) = (world.stream().await.stream, world.datagrams().await.datagram);
        world.send(garbage).await;
        if garbage.is_empty() {
            world.client.shutdown().await.unwrap();
        }
        // What came before is still read.
        stream.read_exact(&mut [0; 5]).await.unwrap();
        heard(&*datagrams).await.unwrap();
        assert!(stream.read_u8().await.is_err() && heard(&*datagrams).await.is_err());
        assert!(stream.write_all(b"answer").await.is_err());
        world.driver.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_sessions_ends_some_day() {
    let mut world = World::new(100);
    world.send(NEW_STREAM).await;
    let stream = world.stream().await;
    assert!(timeout(Duration::from_secs(3600), &mut world.driver).await.is_err(), "a silent session keeps it");
    drop(stream);
    timeout(Duration::from_secs(3600), world.driver).await.unwrap().unwrap();
}

/// A reader that does not read slows the client down, and a client that does not read slows the writer.
#[tokio::test(start_paused = true)]
async fn nothing_piles_up() {
    let mut world = World::new(64 * 1024);
    world.send(NEW_STREAM).await;
    let mut stream = world.stream().await.stream;
    let pattern: Vec<u8> = (0..4_000_000_u32).map(|number| (number >> 2) as u8).collect();
    let frames: Vec<u8> = pattern.chunks(30_000).flat_map(|piece| keep(1, piece)).collect();
    let (mut reader, mut writer) = tokio::io::split(world.client);
    let mut sent = 0;
    while let Ok(written) = timeout(NEVER, writer.write(&frames[sent..])).await {
        sent += written.unwrap();
        assert!(sent < 2_000_000, "the client is not slowed down");
    }
    let sending = tokio::spawn(async move {
        writer.write_all(&frames[sent..]).await.unwrap();
        writer
    });
    let mut came = vec![0; 5 + pattern.len()];
    stream.read_exact(&mut came).await.unwrap();
    assert!(came[5..] == pattern);
    drop(sending.await.unwrap());

    let mut written = 0;
    while let Ok(more) = timeout(NEVER, stream.write(&pattern[written..])).await {
        let Ok(more) = more else { break };
        written += more;
        assert!(written < 2_000_000, "the writer is not slowed down");
    }
    assert!(reader.read_u8().await.is_ok());
}

/// The answers to frames that nobody serves do not pile up either.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_not_heard_for_ever() {
    let world = World::new(64 * 1024);
    let unserved = b"\0\x04\0\x05\x01\0".repeat(300_000);
    let (mut reader, mut writer) = tokio::io::split(world.client);
    let mut sent = 0;
    while let Ok(written) = timeout(NEVER, writer.write(&unserved[sent..])).await {
        sent += written.unwrap();
        assert!(sent < 1_500_000, "the client is not slowed down");
    }
    let sending = tokio::spawn(async move {
        writer.write_all(&unserved[sent..]).await.unwrap();
        writer
    });
    // Once it reads, it is heard again, and gets every answer.
    let mut came = vec![0; 6 * 300_000];
    reader.read_exact(&mut came).await.unwrap();
    assert!(came.chunks(6).all(|frame| frame == [0, 4, 0, 5, 3, 2]));
    drop(sending.await.unwrap());
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), status in 0..6_u8) {
        let bytes = [&[0, 12, 0, 1, status, 1, 2][..], &bytes].concat();
        match wire::take(&bytes) {
            Ok(Step::Need(length)) => prop_assert!(length > bytes.len()),
            Ok(Step::Frame(frame)) => {
                prop_assert!(frame.length <= bytes.len());
                let _ = frame.destination(&bytes);
                // A frame is the same with more bytes behind it, and is not there with fewer.
                let alone = wire::take(&bytes[..frame.length]).unwrap();
                prop_assert_eq!(alone, Step::Frame(frame.clone()));
                prop_assert!(matches!(wire::take(&bytes[..frame.length - 1]), Ok(Step::Need(_))));
            }
            Err(_) => {}
        }
    }

    #[test]
    fn a_written_frame_is_read(session: u16, payload in proptest::collection::vec(any::<u8>(), 0..300), addressed: bool) {
        let target = Target::parse("a.example:53").unwrap();
        let mut bytes = Vec::new();
        wire::put(session, Status::Keep, addressed.then_some(&target), &payload, &mut bytes);
        let Ok(Step::Frame(frame)) = wire::take(&bytes) else { panic!("no frame") };
        let Frame { length, .. } = frame;
        prop_assert_eq!((frame.session, frame.status, length), (session, Status::Keep, bytes.len()));
        prop_assert_eq!(&bytes[frame.payload.clone().unwrap()], &payload[..]);
        let expected = addressed.then_some(Destination::Datagrams(Some(target)));
        prop_assert_eq!(frame.destination(&bytes).unwrap(), expected);
    }
}
