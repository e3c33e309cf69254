//! The server against our own client, and against clients that do what they may not.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use hezar_core::{AnyTls, Carrier, Secret, Target, Tls};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    super::{
        build,
        wire::{self, Command, HEADER, Header},
    },
    accept, decode,
};
use crate::{
    BuildError, Dialer, TlsClients,
    protocol::{
        contract::{self, Served, pump},
        datagram_contract, uot,
    },
    served::{
        BoxSession, CredentialId, DatagramRequest, InboundKey, InboundRequest, Keyring, KeyringKind, Opening,
        RequestRefusal, SessionItem, Stranger, StrangerReason, StreamRequest,
    },
    testing::{Many, heard},
    transport::TransportConnector,
};

fn keyring() -> Keyring {
    Keyring::new(KeyringKind::AnyTls, [(CredentialId(7), InboundKey::new(*b"password"))])
}

fn dialer(connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    build(&AnyTls { password: Secret::new("password"), tls: Tls::default() }, connector)
}

/// A client whose connections come out of the receiver.
fn many(seed: u64, most: usize) -> (Arc<dyn Dialer>, mpsc::UnboundedReceiver<DuplexStream>) {
    let (many, peers) = Many::new(seed, most);
    let tls = TlsClients::new(&[]).into();
    let connector = TransportConnector::new(&contract::target(), &Carrier::plain(), Arc::new(many), &tls).unwrap();
    (dialer(connector).unwrap(), peers)
}

async fn session(peer: DuplexStream) -> BoxSession {
    match accept(Box::new(peer), &keyring()).await.unwrap() {
        Opening::Session(session) => session,
        _ => panic!("no session"),
    }
}

async fn stranger(peer: DuplexStream) -> Stranger {
    match accept(Box::new(peer), &keyring()).await.unwrap() {
        Opening::Stranger(stranger) => stranger,
        _ => panic!("no stranger"),
    }
}

/// The next request for a stream.
async fn asked(session: &mut BoxSession) -> StreamRequest {
    match session.next().await {
        Some(SessionItem::Request(InboundRequest::Stream(request))) => request,
        _ => panic!("no request for a stream"),
    }
}

/// The next request for datagrams.
async fn asked_datagrams(session: &mut BoxSession) -> DatagramRequest {
    match session.next().await {
        Some(SessionItem::Request(InboundRequest::Datagrams(request))) => request,
        _ => panic!("no request for datagrams"),
    }
}

/// Moves the bytes of a session in which no request is expected any more.
fn keep_moving(mut session: BoxSession) {
    tokio::spawn(async move { while session.next().await.is_some() {} });
}

/// Serves the one stream of a connection.
async fn serve(peer: DuplexStream) -> Served {
    let mut session = session(peer).await;
    let StreamRequest { credential, target, mut stream } = asked(&mut session).await;
    assert_eq!(credential, CredentialId(7));
    stream.grant();
    let served = (target, pump(stream));
    keep_moving(session);
    served
}

#[tokio::test(start_paused = true)]
async fn our_own_client_is_served() {
    contract::all_without_half_close(dialer, serve).await;
}

/// A client by hand: its frames, and what it hears.
struct Client {
    io: DuplexStream,
    bytes: BytesMut,
}

impl Client {
    /// A client that has shown its password and these settings, and the session with it.
    async fn introduced(settings: &str) -> (Self, BoxSession) {
        let (near, far) = duplex(64 * 1024);
        let mut client = Self { io: near, bytes: BytesMut::new() };
        client.io.write_all(&wire::hello(&wire::key("password"), 40)).await.unwrap();
        client.send(Command::Settings, 0, settings.as_bytes()).await;
        (client, session(far).await)
    }

    /// One with the padding scheme that everybody begins with.
    async fn usual() -> (Self, BoxSession) {
        let scheme = super::super::padding::Scheme::default();
        Self::introduced(&wire::settings(scheme.digest())).await
    }

    async fn send(&mut self, command: Command, stream: u32, data: &[u8]) {
        let mut frame = Vec::new();
        wire::put_frame(command, stream, data, &mut frame);
        self.io.write_all(&frame).await.unwrap();
    }

    /// Asks for a stream to `example.com:443`.
    async fn ask(&mut self, stream: u32) {
        self.send(Command::Syn, stream, &[]).await;
        self.send(Command::Push, stream, b"\x03\x0bexample.com\x01\xbb").await;
    }

    /// The next frame; nothing at the connection's end.
    async fn hear(&mut self) -> Option<(Command, u32, Vec<u8>)> {
        loop {
            if let Some(header) = Header::read(&self.bytes)
                && self.bytes.len() >= HEADER + header.length
            {
                let frame = self.bytes.split_to(HEADER + header.length);
                return Some((header.command.unwrap(), header.stream, frame[HEADER..].to_vec()));
            }
            if self.io.read_buf(&mut self.bytes).await.unwrap() == 0 {
                return None;
            }
        }
    }
}

#[tokio::test]
async fn one_connection_carries_one_stream_after_the_other() {
    let (client, mut peers) = many(3, 1000);
    let attempt = contract::attempt();
    let mut first = client.connect(&contract::target(), &attempt).await.unwrap();
    let mut session = session(peers.recv().await.unwrap()).await;
    for round in 0..3_u8 {
        let StreamRequest { target, mut stream, .. } = asked(&mut session).await;
        assert_eq!(target, contract::target());
        stream.grant();
        let serve = async {
            let mut got = [0; 5];
            stream.read_exact(&mut got).await.unwrap();
            stream.write_all(&got).await.unwrap();
            // The client ends its stream, and with it both ways.
            assert_eq!(stream.read(&mut got).await.unwrap(), 0);
            assert!(stream.write(b"x").await.is_err());
        };
        let talk = async {
            first.write_all(&[round; 5]).await.unwrap();
            first.flush().await.unwrap();
            let mut got = [0; 5];
            first.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [round; 5]);
            drop(first);
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(serve, talk) } => {}
            _ = session.next() => panic!("nobody asks"),
        }
        drop(stream);
        first = client.connect(&contract::target(), &attempt).await.unwrap();
    }
    assert!(peers.try_recv().is_err(), "one connection was enough");
}

#[tokio::test]
async fn datagrams_travel_both_ways() {
    let (client, mut peers) = many(4, 700);
    let association = client.associate(&contract::attempt()).await.unwrap();
    let mut session = session(peers.recv().await.unwrap()).await;
    let request = asked_datagrams(&mut session).await;
    assert_eq!(request.credential, CredentialId(7));
    keep_moving(session);
    datagram_contract::ask(&association).await;
    datagram_contract::are_answered(association, &*request.datagram).await;
}

/// sing-box's clients bind a stream of datagrams to one target, where they know it.
#[tokio::test]
async fn datagrams_may_have_one_target_alone() {
    let (mut client, mut session) = Client::usual().await;
    client.send(Command::Syn, 1, &[]).await;
    client.send(Command::Push, 1, &uot::address()).await;
    client.send(Command::Push, 1, b"\x01\x01\xc0\x00\x02\x09\x00\x35").await;
    client.send(Command::Push, 1, b"\x00\x03one\x00\x00\x00\x03two").await;
    let request = asked_datagrams(&mut session).await;
    keep_moving(session);
    let target = Target::parse("192.0.2.9:53").unwrap();
    for payload in [&b"one"[..], b"", b"two"] {
        assert_eq!(heard(&*request.datagram).await.unwrap(), (payload.to_vec(), target.clone()));
    }
    request.datagram.send_to(b"answer", &target).await.unwrap();
    assert_eq!(client.hear().await, Some((Command::ServerSettings, 0, b"v=2".to_vec())));
    assert_eq!(client.hear().await, Some((Command::SynAck, 1, Vec::new())));
    assert_eq!(client.hear().await, Some((Command::Push, 1, b"\x00\x06answer".to_vec())));
}

#[tokio::test]
async fn whoever_has_no_credential_is_a_stranger_as_soon_as_that_shows() {
    let hello = wire::hello(&wire::key("password"), 30);
    let other = wire::hello(&wire::key("other"), 30);
    for (said, why) in [
        (&b"GET / HTTP/1.1\r\n"[..4], StrangerReason::Credential),
        (&other[..4], StrangerReason::Credential),
        (&[&hello[..31], b"x"].concat(), StrangerReason::Credential),
    ] {
        let (mut near, far) = duplex(1024);
        near.write_all(said).await.unwrap();
        // Nothing more needs to come.
        let mut stranger = stranger(far).await;
        assert_eq!(stranger.why, why);
        near.write_all(b" and more").await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = Vec::new();
        stranger.stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [said, b" and more"].concat());
    }
    // What ends too early is one as well, unless it has shown a credential.
    for length in [1, 31, 33, 63] {
        let (mut near, far) = duplex(1024);
        near.write_all(&hello[..length]).await.unwrap();
        near.shutdown().await.unwrap();
        if length < 32 {
            assert_eq!(stranger(far).await.why, StrangerReason::TooShort, "{length}");
        } else {
            assert!(accept(Box::new(far), &keyring()).await.is_err(), "{length}");
        }
    }
}

/// A web server answers at once to bytes that begin no request. The padding of a client may take its time.
#[tokio::test(start_paused = true)]
async fn a_hash_that_stops_is_a_strangers_soon() {
    let hello = wire::hello(&wire::key("password"), 30);
    for length in [1, 3, 31] {
        let (mut near, far) = duplex(1024);
        near.write_all(&hello[..length]).await.unwrap();
        let began = Instant::now();
        let mut stranger = stranger(far).await;
        assert_eq!((stranger.why, began.elapsed().as_secs()), (StrangerReason::TooShort, 0), "{length}");
        drop(near);
        let mut all = Vec::new();
        stranger.stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, hello[..length]);
    }
    let (mut near, far) = duplex(1024);
    near.write_all(&hello[..40]).await.unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        near.write_all(&hello[40..]).await.unwrap();
    };
    let keyring = keyring();
    let (opening, ()) = tokio::join!(accept(Box::new(far), &keyring), late);
    assert!(matches!(opening, Ok(Opening::Session(_))));
}

#[tokio::test]
async fn a_client_with_another_padding_scheme_is_told_of_ours() {
    let (mut client, mut session) = Client::introduced("v=2\nclient=x\npadding-md5=0123").await;
    client.ask(1).await;
    let _request = asked(&mut session).await;
    keep_moving(session);
    let (command, _, scheme) = client.hear().await.unwrap();
    assert_eq!(command, Command::UpdatePadding);
    assert!(super::super::padding::Scheme::read(&scheme).is_some());
    assert_eq!(client.hear().await, Some((Command::ServerSettings, 0, b"v=2".to_vec())));
}

#[tokio::test]
async fn a_client_of_version_1_hears_nothing_that_it_does_not_know() {
    let scheme = super::super::padding::Scheme::default();
    let (mut client, mut session) = Client::introduced(&format!("v=1\npadding-md5={}", scheme.digest())).await;
    client.ask(1).await;
    client.ask(2).await;
    let mut first = asked(&mut session).await;
    let mut second = asked(&mut session).await;
    keep_moving(session);
    first.stream.grant();
    first.stream.write_all(b"hello").await.unwrap();
    second.stream.refuse(RequestRefusal::Forbidden);
    second.stream.shutdown().await.unwrap();
    assert_eq!(client.hear().await, Some((Command::Push, 1, b"hello".to_vec())));
    assert_eq!(client.hear().await, Some((Command::Fin, 2, Vec::new())));
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(5).await;
    let mut request = asked(&mut session).await;
    keep_moving(session);
    request.stream.refuse(RequestRefusal::Unreachable);
    request.stream.grant();
    request.stream.shutdown().await.unwrap();
    drop(request);
    assert_eq!(client.hear().await, Some((Command::ServerSettings, 0, b"v=2".to_vec())));
    assert_eq!(client.hear().await, Some((Command::SynAck, 5, b"unreachable".to_vec())));
    assert_eq!(client.hear().await, Some((Command::Fin, 5, Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_confirmed_before_its_client_gives_up() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    let request = asked(&mut session).await;
    keep_moving(session);
    assert_eq!(client.hear().await, Some((Command::ServerSettings, 0, b"v=2".to_vec())));
    let asked_at = Instant::now();
    assert_eq!(client.hear().await, Some((Command::SynAck, 1, Vec::new())));
    let waited = asked_at.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(3), "{waited:?}");
    drop(request);
    assert_eq!(client.hear().await, Some((Command::Fin, 1, Vec::new())));
}

#[tokio::test]
async fn a_stream_before_the_settings_is_an_alert() {
    let (mut near, far) = duplex(1024);
    near.write_all(&wire::hello(&wire::key("password"), 0)).await.unwrap();
    let mut client = Client { io: near, bytes: BytesMut::new() };
    client.ask(1).await;
    let mut session = session(far).await;
    assert!(session.next().await.is_none());
    assert!(session.next().await.is_none(), "the end stays");
    assert_eq!(client.hear().await.map(|frame| frame.0), Some(Command::Alert));
}

#[tokio::test]
async fn what_is_no_address_ends_its_stream_alone() {
    let (mut client, mut session) = Client::usual().await;
    client.send(Command::Syn, 1, &[]).await;
    client.send(Command::Push, 1, b"\x07\x0bexample.com\x01\xbb").await;
    client.send(Command::Syn, 2, &[]).await;
    client.send(Command::Push, 2, b"\x03\x0bexample.com\x00\x00").await;
    // Data and ends of streams that nobody has are passed over, as are heartbeats and padding.
    client.send(Command::Push, 99, b"data").await;
    client.send(Command::Fin, 99, &[]).await;
    client.send(Command::Waste, 0, &[0; 3000]).await;
    client.send(Command::HeartRequest, 0, &[]).await;
    client.ask(3).await;
    assert_eq!(asked(&mut session).await.target, contract::target());
    keep_moving(session);
    let mut heard = Vec::new();
    while let Some((command, stream, _)) = client.hear().await {
        heard.push((command, stream));
        if command == Command::HeartResponse {
            break;
        }
    }
    let expected = [
        (Command::ServerSettings, 0),
        (Command::SynAck, 1),
        (Command::Fin, 1),
        (Command::SynAck, 2),
        (Command::Fin, 2),
        (Command::HeartResponse, 0),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn there_is_a_most_of_streams() {
    let (mut client, mut session) = Client::usual().await;
    let (mut reader, mut requests) = (client, Vec::new());
    client = {
        let asking = async {
            for stream in 1..=257 {
                reader.ask(stream).await;
            }
            reader
        };
        let serving = async {
            while requests.len() < 256 {
                requests.push(asked(&mut session).await);
            }
        };
        tokio::join!(asking, serving).0
    };
    keep_moving(session);
    assert_eq!(client.hear().await.unwrap().0, Command::ServerSettings);
    loop {
        match client.hear().await.unwrap() {
            // Some of the oldest may be confirmed already.
            (Command::SynAck, 257, text) => break assert_eq!(text, b"too many streams"),
            (command, stream, _) => assert!(command == Command::SynAck && stream < 257, "{command:?} {stream}"),
        }
    }
    assert_eq!(client.hear().await, Some((Command::Fin, 257, Vec::new())));
    // Who leaves makes room.
    requests.pop();
    assert_eq!(client.hear().await, Some((Command::Fin, 256, Vec::new())));
}

/// A client that sends what nobody reads is slowed down, and goes on when it is read.
#[tokio::test(start_paused = true)]
async fn what_is_not_read_slows_the_client_down() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    let mut request = asked(&mut session).await;
    keep_moving(session);
    let mut sent = 0;
    let piece = [3; 16_000];
    while timeout(Duration::from_millis(200), client.send(Command::Push, 1, &piece)).await.is_ok() {
        sent += piece.len();
        assert!(sent < 1 << 20, "nothing slows it down");
    }
    assert!(sent >= 256 * 1024, "{sent}");
    let mut got = vec![0; sent];
    request.stream.read_exact(&mut got).await.unwrap();
    assert!(got.iter().all(|byte| *byte == 3));
}

/// Many streams of which each holds less than it may do not hold more together than all may.
#[tokio::test(start_paused = true)]
async fn what_is_not_read_of_many_streams_does_not_pile_up() {
    let (mut client, mut session) = Client::usual().await;
    let mut requests = Vec::new();
    for stream in 1..=32 {
        client.ask(stream).await;
        requests.push(asked(&mut session).await);
    }
    keep_moving(session);
    let piece = [3; 16_000];
    let mut sent = 0;
    // 192 kB for each stream.
    for stream in (0..12).flat_map(|_| 1..=32) {
        if timeout(Duration::from_millis(200), client.send(Command::Push, stream, &piece)).await.is_err() {
            break;
        }
        sent += piece.len();
    }
    assert!((4 << 20..5 << 20).contains(&sent), "{sent}");
    requests[0].stream.read_exact(&mut vec![0; 100_000]).await.unwrap();
    let more = timeout(Duration::from_millis(200), client.io.write_all(&[3; 1000])).await;
    assert!(more.is_ok(), "it does not go on");
}

/// A target that sends more than the client reads is slowed down, too.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_slows_the_target_down() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    let StreamRequest { mut stream, .. } = asked(&mut session).await;
    keep_moving(session);
    let mut sent = 0;
    while let Ok(written) = timeout(Duration::from_millis(200), stream.write(&[9; 30_000])).await {
        sent += written.unwrap();
        assert!(sent < 1 << 20, "nothing slows it down");
    }
    // What goes up is heard meanwhile.
    client.send(Command::Push, 1, b"up").await;
    let mut up = [0; 2];
    stream.read_exact(&mut up).await.unwrap();
    let mut got = 0;
    while got < sent {
        if let (Command::Push, 1, data) = client.hear().await.unwrap() {
            got += data.len();
        }
    }
    assert_eq!(stream.write(b"more").await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_streams_is_closed() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    let request = asked(&mut session).await;
    let started = Instant::now();
    // A stream keeps it open, however idle it is.
    assert!(timeout(Duration::from_secs(3000), session.next()).await.is_err());
    drop(request);
    assert!(session.next().await.is_none());
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_secs(3299) && lasted < Duration::from_secs(3310), "{lasted:?}");
}

/// Clients do not answer the end of a stream: nothing more comes of them.
#[tokio::test]
async fn a_stream_that_we_end_has_no_more_to_read() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    client.send(Command::Push, 1, b"early").await;
    client.ask(2).await;
    let StreamRequest { mut stream, .. } = asked(&mut session).await;
    // Behind the second request, what came for the first stream is there.
    let _second = asked(&mut session).await;
    keep_moving(session);
    stream.write_all(b"all").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await.expect("it has ended").unwrap();
    assert_eq!(rest, b"early");
    assert!(stream.write(b"more").await.is_err());
}

#[tokio::test]
async fn streams_end_with_their_connection() {
    let (mut client, mut session) = Client::usual().await;
    client.ask(1).await;
    client.send(Command::Push, 1, b"last words").await;
    let mut request = asked(&mut session).await;
    let leaving = async {
        assert_eq!(client.hear().await.map(|frame| frame.0), Some(Command::ServerSettings));
        drop(client);
    };
    let ((), end) = tokio::join!(leaving, session.next());
    assert!(end.is_none());
    let mut got = [0; 10];
    request.stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"last words");
    assert!(request.stream.read(&mut got).await.is_err(), "the client has not ended it");
    assert!(request.stream.write(b"x").await.is_err());
}

proptest! {
    #[test]
    fn any_client_in_any_pieces(data in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..300) {
        prop_assert_eq!(decode(&data, piece), decode(&data, usize::MAX));
    }

    /// Frames that make sense, of few streams.
    #[test]
    fn any_frames_in_any_pieces(
        frames in proptest::collection::vec((0u8..12, 1u32..4, proptest::collection::vec(any::<u8>(), 0..60)), 0..20),
        piece in 1usize..100,
    ) {
        let mut data = vec![0];
        wire::put_frame(Command::Settings, 0, b"v=2", &mut data);
        for (command, stream, payload) in frames {
            let opens = command == Command::Syn as u8;
            let length = if opens { 0 } else { payload.len() };
            data.push(command);
            data.extend_from_slice(&stream.to_be_bytes());
            data.extend_from_slice(&(length as u16).to_be_bytes());
            data.extend_from_slice(&payload[..length]);
            if opens {
                wire::put_frame(Command::Push, stream, b"\x03\x0bexample.com\x01\xbb", &mut data);
            }
        }
        prop_assert_eq!(decode(&data, piece), decode(&data, usize::MAX));
    }
}
