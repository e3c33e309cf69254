//! QUIC's shared parts: integers, disguises, hopping, fragments, queues, Brutal, and connections that end when idle.

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant as StdInstant},
};

use bytes::Bytes;
use hezar_core::{Obfs2, Secret, Target, Tls};
use proptest::prelude::*;
use quinn::udp::RecvMeta;
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{
    brutal::Brutal,
    disguise::DisguisedSocket,
    fragments::{self, Fragments},
    gecko::{self, Pieces, Sizes},
    peer::{self, Peer},
    salamander::Salamander,
    *,
};
use crate::{Attempt, Cause, Dialer, testing::until};

const HOUR: Duration = Duration::from_secs(3600);

fn random(seed: u64) -> SmallRng {
    SmallRng::seed_from_u64(seed)
}

#[test]
fn golden_integers() {
    // RFC 9000, appendix A.1.
    let known: [(u64, &[u8]); 4] = [
        (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
        (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
        (15_293, &[0x7b, 0xbd]),
        (37, &[0x25]),
    ];
    for (value, bytes) in known {
        let mut written = Vec::new();
        varint::put(value, &mut written);
        assert_eq!(written, bytes);
        for end in 0..bytes.len() {
            assert_eq!(varint::take(&mut &bytes[..end]), None);
        }
        assert_eq!(varint::take(&mut &bytes[..]), Some(value));
    }
    // Longer than it needs to be, and allowed.
    assert_eq!(varint::take(&mut &[0x40, 0x25][..]), Some(37));
}

#[test]
fn golden_salamander() {
    let salt = [0, 1, 2, 3, 4, 5, 6, 7];
    let packet: Vec<u8> = (100..140).collect();
    let mut bytes = Vec::new();
    Salamander::new("a-lizard-on-the-wall").put(salt, &packet, &mut bytes);
    let expected = "0001020304050607db7a5af3d7ff85a0b5ca89c7f89147926d398f121981141d2d767cc1588a67113b9aba13371f6540";
    assert_eq!(hex::encode(&bytes), expected);
    assert_eq!(Salamander::new("a-lizard-on-the-wall").open(&mut bytes).unwrap(), packet);
    assert_eq!(Salamander::new("x").open(&mut [1; 8]), None);
}

#[test]
fn uncovers_packets_that_came_together() {
    let salamander = Salamander::new("secret");
    let packets: [&[u8]; 3] = [&[1; 100], &[2; 100], &[3; 7]];
    let mut bytes = Vec::new();
    packets.iter().for_each(|packet| salamander.put(rand::random(), packet, &mut bytes));
    let mut meta = RecvMeta { len: bytes.len(), stride: 108, ..RecvMeta::default() };
    DisguisedSocket::uncover(&salamander, &mut bytes, &mut meta);
    assert_eq!((meta.len, meta.stride), (207, 100));
    assert_eq!(bytes[..207], packets.concat());
}

#[test]
fn gecko_pieces_have_the_wanted_sizes() {
    let sizes = Sizes::new(None, None).unwrap();
    let mut all = Vec::new();
    gecko::cut(&[0xc0; 1200], 7, sizes, &mut random(1), |piece| all.push(piece.to_vec()));
    assert!((2..=8).contains(&all.len()));
    for (index, piece) in all.iter().enumerate() {
        assert_eq!(piece[..3], [0x80, 7, (index << 4 | all.len()) as u8]);
        assert!((512..=1200).contains(&(piece.len() + 8)), "{}", piece.len());
    }
    assert!(Sizes::new(Some(1200), Some(512)).is_none());
    assert!(Sizes::new(Some(0), None).is_none());
    assert!(Sizes::new(None, Some(4000)).is_none());
}

#[tokio::test(start_paused = true)]
async fn gecko_gives_up_unfinished_messages() {
    let mut pieces = Pieces::default();
    let begun = Instant::now();
    assert_eq!(pieces.take(&[0x80, 1, 0x02, 0, 0, b'a'], begun), None);
    let late = begun + Duration::from_secs(9);
    assert_eq!(pieces.take(&[0x80, 1, 0x12, 0, 0, b'b'], late), None);
    assert_eq!(pieces.take(&[0x80, 1, 0x02, 0, 1, 0, b'a'], late).unwrap(), b"ab");
}

#[test]
fn hops_within_the_ranges() {
    assert!(PortHopping::new(443, &[], None).is_none());
    let hop = PortHopping::new(443, &[(1000, 1003), (9, 8)], Some(1)).unwrap();
    assert_eq!(hop.interval, Duration::from_secs(5));
    let ports: std::collections::BTreeSet<u16> = (0..1000).map(|_| hop.port()).collect();
    assert_eq!(ports.into_iter().collect::<Vec<_>>(), [8, 9, 443, 1000, 1001, 1002, 1003]);
    assert_eq!(PortHopping::new(1, &[(1, u16::MAX)], None).unwrap().interval, Duration::from_secs(30));
}

#[test]
fn fragments_come_in_any_order_and_are_bounded() {
    let mut fragments = Fragments::default();
    assert_eq!(fragments.take(0, 0, 1, Bytes::from_static(b"whole")).unwrap(), "whole");
    assert_eq!(fragments.take(0, 1, 1, Bytes::new()), None);
    assert_eq!(fragments.take(0, 9, 9, Bytes::new()), None);
    assert_eq!(fragments.take(5, 1, 2, Bytes::from_static(b"b")), None);
    assert_eq!(fragments.take(5, 1, 2, Bytes::from_static(b"twice")), None);
    assert_eq!(fragments.take(5, 0, 2, Bytes::from_static(b"a")).unwrap(), "ab");
    // The fifth unfinished packet pushes the first one out.
    (1..=5).for_each(|id| assert_eq!(fragments.take(id, 0, 2, Bytes::from_static(b"x")), None));
    assert_eq!(fragments.take(1, 1, 2, Bytes::from_static(b"y")), None);
    assert_eq!(fragments.take(5, 1, 2, Bytes::from_static(b"y")).unwrap(), "xy");
    // No packet is longer than UDP allows.
    let half = Bytes::from(vec![0; 40_000]);
    assert_eq!(fragments.take(9, 0, 2, half.clone()), None);
    assert_eq!(fragments.take(9, 1, 2, half), None);
    assert!(fragments::cut(&[0; 100], 10, 0).is_none());
    assert!(fragments::cut(&[0; 2560], 10, 10).is_none());
}

#[tokio::test]
async fn queues_have_numbers_and_bounds() {
    let all: Arc<DatagramQueues<u8, u32>> = Arc::default();
    let (first, unread) = all.add(|n| (n % 2) as u8).unwrap();
    let (second, again) = all.add(|n| (n % 2) as u8).unwrap();
    assert!(unread && !again && first.id != second.id);
    assert!(all.add(|n| (n % 2) as u8).is_none(), "every number is taken");
    (0..1000).for_each(|n| assert_eq!(all.deliver(second.id, n), None));
    assert_eq!(all.deliver(77, 0), Some(0), "nobody has this number");
    drop(first);
    let (third, _) = all.add(|n| (n % 2) as u8).unwrap();
    all.end();
    assert!(all.add(|n| (n % 2) as u8).is_none());
    let mut seen = 0;
    while let Some(number) = poll_fn(|cx| second.poll_recv(cx)).await {
        assert_eq!(number, seen);
        seen += 1;
    }
    assert_eq!(seen, 256);
    assert_eq!(poll_fn(|cx| third.poll_recv(cx)).await, None);
}

#[test]
fn brutal_keeps_its_promise() {
    let begun = StdInstant::now();
    let mut brutal = Brutal::new(begun, 1200);
    assert_eq!(brutal.window(1_000_000), 12_000, "before anything is known");
    brutal.round_trip(Duration::from_millis(100));
    assert_eq!(brutal.window(1_000_000), 100_000);
    brutal.count(begun, 900_000, 100_000);
    assert_eq!(brutal.window(900_000), 100_000, "a tenth is lost: a ninth more is sent");
    brutal.count(begun, 0, 9_000_000);
    assert_eq!(brutal.window(800_000), 100_000, "never more than a quarter more");
    brutal.count(begun + Duration::from_secs(6), 100_000, 0);
    assert_eq!(brutal.window(1_000_000), 100_000, "old losses are forgotten");
}

/// Accepts connections and echoes every stream; counts the connections.
fn echo(peer: Peer) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Some(connection) = peer.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    tokio::spawn(async move { tokio::io::copy(&mut receive, &mut send).await });
                }
            });
        }
    });
    count
}

fn server(peer: &Peer, via: Arc<dyn Dialer>, obfs: Option<&Obfs2>, hop: Option<PortHopping>) -> QuicServer {
    QuicServer {
        target: Target::try_from(peer.address).unwrap(),
        via,
        tls: peer::tls(),
        clients: peer.clients.clone(),
        alpn: &["h3"],
        disguise: obfs.map(|obfs| Disguise::new(obfs).unwrap()),
        hop,
    }
}

async fn open(pool: &QuicPool<()>, server: &QuicServer) -> Result<QuicStream, crate::DialError> {
    let attempt = Attempt::within(HOUR);
    let dial = || async { Ok((server.connect(transport_config(1), &attempt).await?, ())) };
    pool.stream(&attempt, |_| Vec::new(), dial).await.map(|(stream, ..)| stream)
}

async fn echoes(pool: &QuicPool<()>, server: &QuicServer) {
    let mut stream = open(pool, server).await.unwrap();
    stream.write_all(&[7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer == [7; 100_000]);
    assert!(stream.write_all(b"more").await.is_err());
}

#[tokio::test]
async fn streams_share_a_connection_which_ends_when_idle() {
    let peer = Peer::start(&["h3"], None);
    let via = peer::sockets();
    let server = server(&peer, Arc::clone(&via), None, None);
    let count = echo(peer);
    let before = Handle::current().metrics().num_alive_tasks();
    let pool = QuicPool::closing_after(Duration::from_millis(300));
    let (a, b, c) = tokio::join!(open(&pool, &server), open(&pool, &server), open(&pool, &server));
    assert_eq!(count.load(Ordering::Relaxed), 1);
    drop((a.unwrap(), b.unwrap()));
    echoes(&pool, &server).await;
    // A stream that is only open keeps the connection.
    let held = c.unwrap();
    // One that became idle later than this one would have is closed by now.
    let later = QuicPool::closing_after(Duration::from_millis(300));
    echoes(&later, &server).await;
    until(|| later.len() == 0).await;
    assert_eq!((pool.len(), count.load(Ordering::Relaxed)), (1, 2));
    drop(held);
    until(|| pool.len() == 0).await;
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    echoes(&pool, &server).await;
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn disguised_connections_carry_bytes() {
    let password = || Secret::new("a-lizard-on-the-wall");
    let gecko = Obfs2::Gecko { password: password(), min_packet: Some(600), max_packet: Some(900) };
    for obfs in [Obfs2::Salamander { password: password() }, gecko] {
        let peer = Peer::start(&["h3"], Some(&obfs));
        let server = server(&peer, peer::sockets(), Some(&obfs), None);
        echo(peer);
        echoes(&QuicPool::default(), &server).await;
    }
}

/// A node that carries datagrams and is not this machine's own sockets.
#[derive(Debug)]
struct Nearer(Arc<dyn Dialer>);

#[async_trait::async_trait]
impl Dialer for Nearer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<crate::BoxStream, crate::DialError> {
        self.0.connect(target, attempt).await
    }

    async fn associate(&self, attempt: &Attempt) -> Result<crate::BoxDatagram, crate::DialError> {
        self.0.associate(attempt).await
    }
}

#[tokio::test]
async fn another_node_may_carry_a_connection() {
    let salamander = Obfs2::Salamander { password: Secret::new("a-lizard-on-the-wall") };
    for obfs in [None, Some(salamander)] {
        let peer = Peer::start(&["h3"], obfs.as_ref());
        let server = server(&peer, Arc::new(Nearer(peer::sockets())), obfs.as_ref(), None);
        echo(peer);
        sleep(Duration::from_millis(1)).await;
        let before = Handle::current().metrics().num_alive_tasks();
        let pool = QuicPool::closing_after(Duration::from_millis(100));
        echoes(&pool, &server).await;
        until(|| pool.len() == 0).await;
        until(|| Handle::current().metrics().num_alive_tasks() <= before).await;
    }
}

/// A node that loses every 12th datagram on its way to the server.
#[derive(Debug)]
struct Losing(Arc<dyn Dialer>);

#[async_trait::async_trait]
impl Dialer for Losing {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<crate::BoxStream, crate::DialError> {
        self.0.connect(target, attempt).await
    }

    async fn associate(&self, attempt: &Attempt) -> Result<crate::BoxDatagram, crate::DialError> {
        Ok(Box::new(LosingDatagram { inner: self.0.associate(attempt).await?, sent: AtomicUsize::new(0) }))
    }
}

struct LosingDatagram {
    inner: crate::BoxDatagram,
    sent: AtomicUsize,
}

impl crate::Datagram for LosingDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if self.sent.fetch_add(1, Ordering::Relaxed) % 12 == 11 {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_send_to(cx, payload, target)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        self.inner.poll_recv_from(cx, buffer)
    }
}

#[tokio::test]
async fn losses_on_the_way_lose_no_bytes() {
    let peer = Peer::start(&["h3"], None);
    let server = server(&peer, Arc::new(Losing(peer::sockets())), None, None);
    echo(peer);
    let (pool, attempt) = (QuicPool::<()>::default(), Attempt::within(HOUR));
    let dial = || async {
        let mut transport = transport_config(1);
        transport.congestion_controller_factory(negotiated(Promise::default()));
        Ok((server.connect(transport, &attempt).await?, ()))
    };
    let (stream, ..) = pool.stream(&attempt, |_| Vec::new(), dial).await.unwrap();
    let (mut receive, mut send) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut received = Vec::new();
    let writing = async {
        send.write_all(&sent).await?;
        send.shutdown().await
    };
    let (written, read) = tokio::join!(writing, receive.read_to_end(&mut received));
    written.unwrap();
    read.unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn hopping_goes_on_with_the_connection() {
    let peer = Peer::start(&["h3"], None);
    let own = peer.address.port();
    // Nothing listens beside the server: only its own port is in the range.
    let mut hop = PortHopping::new(own, &[(own, own)], Some(5)).unwrap();
    hop.interval = Duration::from_millis(20);
    let server = server(&peer, peer::sockets(), None, Some(hop));
    let count = echo(peer);
    let (pool, attempt) = (QuicPool::default(), Attempt::within(HOUR));
    let dial = || async { Ok((server.connect(transport_config(1), &attempt).await?, ())) };
    let (link, _lease) = pool.link(&attempt, |_| (), dial).await.unwrap();
    for _ in 0..5 {
        let port = || link.endpoint.local_addr().unwrap().port();
        let before = port();
        echoes(&pool, &server).await;
        until(|| port() != before).await;
    }
    echoes(&pool, &server).await;
    assert_eq!(count.load(Ordering::Relaxed), 1, "it is the same connection all the while");
}

#[tokio::test]
async fn a_dead_connection_is_replaced() {
    let peer = Peer::start(&["h3"], None);
    let server = server(&peer, peer::sockets(), None, None);
    let count = echo(peer);
    let pool = QuicPool::default();
    let attempt = Attempt::within(HOUR);
    let dial = || async { Ok((server.connect(transport_config(1), &attempt).await?, ())) };
    let (link, _lease) = pool.link(&attempt, |_| (), dial).await.unwrap();
    link.connection.close(quinn::VarInt::from_u32(0), b"");
    echoes(&pool, &server).await;
    assert_eq!((count.load(Ordering::Relaxed), pool.len()), (2, 1));
}

#[tokio::test]
async fn refusals_have_their_causes() {
    let peer = Peer::start(&["h3"], None);
    let pool = QuicPool::default();
    let via = peer::sockets();
    let base = || server(&peer, Arc::clone(&via), None, None);
    let other_name = QuicServer { tls: Tls { server_name: Some("other.example".into()), ..Tls::default() }, ..base() };
    let other_pin = QuicServer { tls: Tls { pins: vec![[7; 32]], ..peer::tls() }, ..base() };
    let other_alpn = QuicServer { alpn: &["spdy"], ..base() };
    let accepting = async {
        loop {
            peer.accept().await;
        }
    };
    let failing = async {
        for server in [other_name, other_pin] {
            let failed = open(&pool, &server).await.unwrap_err();
            assert!(matches!(failed.cause, Cause::Certificate(_)), "{failed}");
        }
        let failed = open(&pool, &other_alpn).await.unwrap_err();
        assert!(matches!(failed.cause, Cause::Tls(_)), "{failed}");
    };
    tokio::select! {
        () = failing => {}
        () = accepting => {}
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_private_addresses_are_refused() {
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Target::try_from(mute.local_addr().unwrap()).unwrap();
    let peer = Peer::start(&["h3"], None);
    let server = QuicServer { target, ..server(&peer, peer::sockets(), None, None) };
    let attempt = Attempt::within(Duration::from_millis(200));
    let failed = server.connect(transport_config(1), &attempt).await.unwrap_err();
    assert!(matches!(failed.cause, Cause::Timeout), "{failed}");
    let public = crate::SystemDialer::new(crate::Resolver::new(&Default::default()), crate::AddressPolicy::PublicOnly);
    let server = QuicServer { via: Arc::new(public), ..server };
    let failed = server.connect(transport_config(1), &Attempt::within(HOUR)).await.unwrap_err();
    assert!(matches!(failed.cause, Cause::ForbiddenAddress), "{failed}");
}

proptest! {
    #[test]
    fn any_integer(value in 0u64..1 << 62, rest in any::<Vec<u8>>()) {
        let mut bytes = Vec::new();
        varint::put(value, &mut bytes);
        bytes.extend_from_slice(&rest);
        let mut front = &bytes[..];
        prop_assert_eq!(varint::take(&mut front), Some(value));
        prop_assert_eq!(front, rest);
    }

    #[test]
    fn any_packet_through_salamander(password in ".{0,80}", salt: [u8; 8], packet in any::<Vec<u8>>()) {
        let salamander = Salamander::new(&password);
        let mut bytes = Vec::new();
        salamander.put(salt, &packet, &mut bytes);
        let opened = salamander.open(&mut bytes).map(|packet| packet.to_vec());
        prop_assert_eq!(opened, (!packet.is_empty()).then_some(packet));
    }

    #[test]
    fn any_bytes_to_uncover(mut bytes in any::<Vec<u8>>(), stride in 0usize..100) {
        let mut meta = RecvMeta { len: bytes.len(), stride, ..RecvMeta::default() };
        DisguisedSocket::uncover(&Salamander::new("x"), &mut bytes, &mut meta);
        prop_assert!(meta.len <= bytes.len());
    }

    #[test]
    fn any_packet_through_gecko(packet in proptest::collection::vec(any::<u8>(), 0..2000), seed: u64) {
        let (mut random, mut all) = (random(seed), Vec::new());
        gecko::cut(&packet, 9, Sizes::new(None, None).unwrap(), &mut random, |piece| all.push(piece.to_vec()));
        all.shuffle(&mut random);
        let mut pieces = Pieces::default();
        let whole: Vec<_> = all.iter().filter_map(|piece| pieces.take(piece, Instant::now())).collect();
        prop_assert_eq!(whole, [packet]);
    }

    #[test]
    fn any_piece_to_gecko(all in proptest::collection::vec(any::<Vec<u8>>(), 0..40)) {
        let mut pieces = Pieces::default();
        for piece in &all {
            pieces.take(piece, Instant::now());
        }
    }

    #[test]
    fn any_payload_in_fragments(payload in proptest::collection::vec(any::<u8>(), 0..3000), room in 13usize..4000, seed: u64) {
        let (count, pieces) = fragments::cut(&payload, room, room - 1).unwrap();
        let mut pieces: Vec<_> = pieces.collect();
        prop_assert_eq!(pieces.len(), usize::from(count));
        pieces.shuffle(&mut random(seed));
        let mut fragments = Fragments::default();
        let whole: Vec<_> =
            pieces.iter().filter_map(|(n, piece)| fragments.take(3, *n, count, Bytes::copy_from_slice(piece))).collect();
        prop_assert_eq!(whole, [payload]);
    }
}
