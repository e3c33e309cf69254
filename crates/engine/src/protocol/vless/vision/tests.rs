//! Vision, our client against our server: plain traffic, inner TLS, and bytes that come together.

use std::{future::poll_fn, io, sync::Arc, time::Duration};

use hezar_core::{Carrier, Host, PacketEncoding, Secret, Security, Target, Tls, Vision, Vless};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use uuid::{Uuid, uuid};

use super::{
    layer::Layer,
    stream::VisionStream,
    traffic::{
        Side, Traffic,
        tests::{data, hello},
    },
    wire::{BlockDecoder, BlockPart, Command, pad},
};
use crate::{
    BuildError, Cause, Dialer, HandedOver, TlsClients,
    hand_over::HandOverCounter,
    protocol::{
        contract::{self, Served, attempt, pump, target},
        vless::{
            build,
            encryption::{
                Encryption,
                tests::{Looks, Server as Encrypted},
            },
            server::{
                Layered, accept,
                tests::{keyring, serve as serve_carrier},
            },
            wire,
        },
    },
    security::{TlsServer, TlsStream, tls::server::TlsAccepted},
    served::{Opening, ServedStream},
    testing::{Authority, Chopped, chopped_pair, connector_pair},
    transport::TransportConnector,
};

const ID: Uuid = uuid!("b831381d-6324-4d53-ad4f-8cda48b30811");

struct World {
    acceptor: TlsAcceptor,
    server: TlsServer,
    clients: TlsClients,
    authority: Authority,
    hand_overs: Arc<HandOverCounter>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let acceptor = authority.server(&["192.0.2.1"], &[]).0;
        let server = TlsServer::new(Arc::clone(acceptor.config()));
        let clients = TlsClients::new(std::slice::from_ref(&authority.root));
        Self { acceptor, server, clients, authority, hand_overs: Arc::default() }
    }

    /// The same connector with TLS on it.
    fn secured(&self, plain: &TransportConnector) -> TransportConnector {
        let carrier = Carrier::Tcp { header: None, security: Security::Tls(Tls::default()) };
        TransportConnector::new(plain.server(), &carrier, Arc::clone(plain.via()), &self.clients.clone().into())
            .unwrap()
    }

    fn dialer(&self, plain: &TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
        let settings =
            Vless { id: ID, flow: Some(Vision::Plain), encryption: None, packet_encoding: PacketEncoding::Xudp };
        build(&settings, self.secured(plain))
    }

    /// A client's stream inside TLS, and the server's application beside it.
    async fn meet(&self, seed: u64, most: usize) -> (VisionStream, JoinHandle<Served>) {
        let (plain, peer) = connector_pair(seed, most);
        let server = tokio::spawn(serve(self.server.clone(), peer));
        let tls = self.secured(&plain).open_leavable(&attempt()).await.unwrap();
        let request = wire::vision(&ID, &target());
        (VisionStream::new(Box::new(tls), ID, request, Arc::clone(&self.hand_overs)), server)
    }
}

/// The next chunk of at most this length; empty at the end.
async fn chunk(layer: &mut dyn Layer, most: usize) -> Vec<u8> {
    let chunk = poll_fn(|cx| layer.poll_chunk(cx).map(|chunk| chunk.map(<[u8]>::to_vec))).await;
    let mut chunk = chunk.unwrap_or_default();
    chunk.truncate(most);
    layer.consume(chunk.len());
    chunk
}

async fn take(layer: &mut dyn Layer, length: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < length {
        let chunk = chunk(layer, length - taken.len()).await;
        assert!(!chunk.is_empty());
        taken.extend_from_slice(&chunk);
    }
    taken
}

/// The server's end of TLS, cut into pieces as well.
async fn secure(server: TlsServer, peer: DuplexStream) -> Box<TlsStream> {
    match server.accept(Box::new(Chopped::new(peer, 9, 5000))).await.unwrap() {
        TlsAccepted::Stream(stream) => Box::new(stream),
        TlsAccepted::Challenge => panic!("no challenge was asked for"),
    }
}

/// Reads the request and serves in the background.
async fn serve(server: TlsServer, peer: DuplexStream) -> Served {
    serve_carrier(Layered::Leavable(secure(server, peer).await)).await
}

async fn serve_inside(mut layer: Box<dyn Layer>) -> Served {
    let start = take(&mut *layer, 18 + wire::VISION.len() + 5).await;
    assert_eq!((start[0], &start[1..17], usize::from(start[17])), (0, &ID.as_bytes()[..], wire::VISION.len()));
    assert_eq!((&start[18..36], start[36], start[39]), (wire::VISION, 1, 2));
    let port = u16::from_be_bytes([start[37], start[38]]);
    let name = take(&mut *layer, usize::from(start[40])).await;
    // A response header with addons.
    let mut stream = VisionStream::answering(layer, ID, b"\0\x03abc".to_vec());
    stream.grant();
    (Target::new(Host::new(std::str::from_utf8(&name).unwrap()).unwrap(), port).unwrap(), pump(stream))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws() {
    let world = World::new();
    let server = world.server.clone();
    contract::all(|connector| world.dialer(&connector), |peer| serve(server.clone(), peer)).await;
}

#[tokio::test(start_paused = true)]
async fn keeps_the_laws_inside_encryption() {
    for looks in [Looks::Native, Looks::Random] {
        let server = Encrypted::new(looks);
        let encryption = Some(Secret::new(server.text("1rtt").as_str()));
        let settings = Vless { id: ID, flow: Some(Vision::Plain), encryption, packet_encoding: PacketEncoding::Xudp };
        let serve = |peer| {
            let server = Arc::clone(&server);
            async move { serve_inside(server.accept_layer(peer).await).await }
        };
        contract::all(|connector| build(&settings, connector), serve).await;
    }
}

/// What a server makes of these records of a client, each of which leaves after a pause.
async fn judged(world: &World, records: &[&[u8]], pause: Duration) -> Opening {
    let (ours, peer) = duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client_config(world)));
    let connecting = connector.connect(ServerName::try_from("192.0.2.1").unwrap(), ours);
    let (client, tls) = tokio::join!(connecting, secure(world.server.clone(), peer));
    let (mut client, keyring) = (client.unwrap(), keyring());
    let saying = async {
        for record in records {
            sleep(pause).await;
            client.write_all(record).await.unwrap();
            client.flush().await.unwrap();
        }
        std::future::pending().await
    };
    tokio::select! {
        opening = accept(Layered::Leavable(tls), &keyring) => opening.unwrap(),
        () = saying => unreachable!(),
    }
}

/// A web server answers at once to bytes that begin no request of its own, and waits for none to go on.
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_go_on_is_a_strangers_soon() {
    let world = World::new();
    let request = wire::vision(&ID, &target());
    let (first, rest) = request.split_at(20);
    let opening = judged(&world, &[first, rest], Duration::from_millis(100)).await;
    assert!(matches!(opening, Opening::Request(_)), "a request in two records");
    for records in [&[&request[..1]][..], &[first], &[first, &rest[..5]]] {
        let started = Instant::now();
        let Opening::Stranger(mut stranger) = judged(&world, records, Duration::from_millis(1)).await else {
            panic!("no stranger");
        };
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let mut all = vec![0; records.concat().len()];
        stranger.stream.read_exact(&mut all).await.unwrap();
        assert_eq!(all, records.concat());
    }
}

/// A mebibyte each way, one after the other.
async fn exchange(mut ours: impl AsyncRead + AsyncWrite + Unpin, mut theirs: impl AsyncRead + AsyncWrite + Unpin) {
    let pattern: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let client = async {
        ours.write_all(&pattern).await.unwrap();
        ours.flush().await.unwrap();
        let mut back = vec![0; pattern.len()];
        ours.read_exact(&mut back).await.unwrap();
        assert!(back == pattern);
    };
    let server = async {
        let mut came = vec![0; pattern.len()];
        theirs.read_exact(&mut came).await.unwrap();
        assert!(came == pattern);
        theirs.write_all(&came).await.unwrap();
        theirs.flush().await.unwrap();
    };
    tokio::join!(client, server);
}

/// A client of rustls that trusts the world's authority.
fn client_config(world: &World) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.authority.root.clone()).unwrap();
    rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// TLS of these versions through the stream. Whether the stream has left its layer in the end.
async fn leaves(
    world: &World,
    versions: &'static rustls::SupportedProtocolVersion,
    (mut stream, server): (VisionStream, JoinHandle<Served>),
) -> bool {
    let provider = rustls::crypto::aws_lc_rs::default_provider;
    let inner = world.authority.server_of(&["inner.example"], &[], provider(), &[versions]).0;
    let config = client_config(world);
    let site = tokio::spawn(async move { inner.accept(server.await.unwrap().1).await.unwrap() });
    let name = ServerName::try_from("inner.example").unwrap();
    let client = TlsConnector::from(Arc::new(config)).connect(name, &mut stream).await.unwrap();
    // The first data is small, like a request.
    let mut ours = client;
    ours.write_all(b"GET /").await.unwrap();
    ours.flush().await.unwrap();
    let mut theirs = site.await.unwrap();
    theirs.read_exact(&mut [0; 5]).await.unwrap();
    theirs.write_all(b"200 OK").await.unwrap();
    theirs.flush().await.unwrap();
    ours.read_exact(&mut [0; 6]).await.unwrap();
    exchange(&mut ours, &mut theirs).await;
    drop(ours);
    stream.is_raw()
}

#[tokio::test(start_paused = true)]
async fn inner_tls13_leaves_our_tls_and_inner_tls12_stays() {
    let world = World::new();
    for (versions, expected) in [(&rustls::version::TLS13, true), (&rustls::version::TLS12, false)] {
        for (seed, most) in [(1, 1000), (2, 64 * 1024)] {
            let met = world.meet(seed, most).await;
            assert_eq!(leaves(&world, versions, met).await, expected, "{versions:?} in pieces of {most}");
        }
    }
    assert_eq!(world.hand_overs.counts(), HandedOver { sending: 2, receiving: 2 });
}

#[tokio::test(start_paused = true)]
async fn inner_tls13_leaves_encryption() {
    let world = World::new();
    for (looks, rtt) in
        [(Looks::Native, "1rtt"), (Looks::XorPub, "0rtt"), (Looks::Random, "1rtt"), (Looks::Random, "0rtt")]
    {
        let server = Encrypted::new(looks);
        // With a ticket from the second stream on.
        let encryption = Encryption::new(&server.text(rtt)).unwrap();
        for (seed, most) in [(1, 7), (2, 1000), (3, 64 * 1024)] {
            for (versions, expected) in [(&rustls::version::TLS13, true), (&rustls::version::TLS12, false)] {
                let (ours, peer) = chopped_pair(seed, most);
                let accepting = Arc::clone(&server);
                let app = tokio::spawn(async move { serve_inside(accepting.accept_layer(peer).await).await });
                let layer = encryption.wrap(ours, &attempt()).await.unwrap();
                let stream = VisionStream::new(Box::new(layer), ID, wire::vision(&ID, &target()), Arc::default());
                let left = leaves(&world, versions, (stream, app)).await;
                assert_eq!(left, expected, "{looks:?} {rtt} {versions:?} in pieces of {most}");
            }
        }
    }
}

/// Passes bytes on as networks do that collect them for a while. Counts the pieces that go to the client.
async fn collecting(mut server: DuplexStream, mut client: DuplexStream) -> usize {
    let mut pieces = 0;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read.unwrap_or_default() {
                0 => return pieces,
                length => server.write_all(&up[..length]).await.unwrap(),
            },
            read = server.read(&mut down) => {
                let mut length = read.unwrap_or_default();
                if length == 0 {
                    return pieces;
                }
                sleep(Duration::from_millis(40)).await;
                while let Ok(more) = tokio::time::timeout(Duration::ZERO, server.read(&mut down[length..])).await {
                    match more.unwrap_or_default() {
                        0 => break,
                        more => length += more,
                    }
                }
                if client.write_all(&down[..length]).await.is_err() {
                    return pieces;
                }
                pieces += 1;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_together_with_the_last_record_are_not_lost() {
    let world = World::new();
    let (plain, near) = connector_pair(3, 64 * 1024);
    let (far, peer) = duplex(64 * 1024);
    let network = tokio::spawn(collecting(far, near));
    let server = tokio::spawn(serve(world.server.clone(), peer));
    let mut client = world.dialer(&plain).unwrap().connect(&target(), &attempt()).await.unwrap();
    let opening = [&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0][..], &data(20)].concat();
    client.write_all(&opening).await.unwrap();
    client.flush().await.unwrap();
    let (_, mut app) = server.await.unwrap();
    app.read_exact(&mut vec![0; opening.len()]).await.unwrap();
    // A server that sends data at once after its hello, and more of it outside our TLS, all within the collecting time.
    let parts = [hello(0x1301, true), data(60), data(3000), data(5000)];
    for part in &parts {
        app.write_all(part).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    let expected = parts.concat();
    let mut came = vec![0; expected.len()];
    client.read_exact(&mut came).await.unwrap();
    assert!(came == expected);
    drop(client);
    drop(app);
    // The handshake in two or three, the data in one.
    assert!(network.await.unwrap() <= 4);
}

#[tokio::test(start_paused = true)]
async fn datagrams_travel_as_frames_in_blocks_and_quic_is_kept_out() {
    let world = World::new();
    let (plain, peer) = connector_pair(4, 64 * 1024);
    let secured = secure(world.server.clone(), peer);
    let server = tokio::spawn(async move {
        let mut tls = secured.await;
        let start = take(&mut *tls, 18 + wire::VISION.len() + 1).await;
        assert_eq!((&start[18..36], start[36]), (wire::VISION, 3));
        let block = take(&mut *tls, 21).await;
        assert_eq!((&block[..16], block[16]), (&ID.as_bytes()[..], 0));
        take(&mut *tls, usize::from(u16::from_be_bytes([block[17], block[18]]))).await
    });
    let flow = world.dialer(&plain).unwrap().associate(&attempt()).await.unwrap();
    let refused = flow.send_to(b"quic", &Target::parse("192.0.2.9:443").unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    flow.send_to(b"query", &Target::parse("192.0.2.9:53").unwrap()).await.unwrap();
    assert!(server.await.unwrap().ends_with(b"query"));
}

#[tokio::test(start_paused = true)]
async fn tls12_cannot_be_left() {
    let world = World::new();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let acceptor = world.authority.server_of(&["192.0.2.1"], &[], provider, &[&rustls::version::TLS12]).0;
    let (plain, peer) = connector_pair(1, 64 * 1024);
    let server = tokio::spawn(async move { acceptor.accept(peer).await.map(drop) });
    let error = world.dialer(&plain).unwrap().connect(&target(), &attempt()).await.err().unwrap();
    assert_eq!((error.stage, error.code()), (hezar_core::Stage::Security, "tls"));
    drop(server.await);
}

#[tokio::test(start_paused = true)]
async fn names_what_went_wrong() {
    let world = World::new();
    let block = |command, content: &[u8]| {
        let mut wire = vec![0, 0];
        pad(&mut wire, Some(&ID), command, content, false, &mut StdRng::seed_from_u64(7));
        wire
    };
    let mut unknown = block(Command::End, b"");
    unknown[18] = 3;
    let cut = block(Command::Continue, b"payload")[..25].to_vec();
    let answers: [(Vec<u8>, Option<&str>); 8] = [
        (Vec::new(), Some("closed")),
        (b"\0".to_vec(), Some("closed")),
        (b"HTTP/1.1 400".to_vec(), Some("protocol")),
        (b"\0\0not a block of ours".to_vec(), Some("protocol")),
        (unknown, Some("protocol")),
        (cut, Some("closed")),
        (b"\0\0".to_vec(), None),
        (block(Command::Continue, b"payload"), None),
    ];
    for (answer, code) in answers {
        let (plain, peer) = connector_pair(2, 64);
        let acceptor = world.acceptor.clone();
        let server = tokio::spawn(async move {
            let mut tls = acceptor.accept(peer).await.unwrap();
            tls.write_all(&answer).await.unwrap();
            tls.shutdown().await.unwrap();
            tls
        });
        let mut client = world.dialer(&plain).unwrap().connect(&target(), &attempt()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        client.flush().await.unwrap();
        let cause = client.read_to_end(&mut Vec::new()).await.err().map(Cause::from);
        assert_eq!(cause.as_ref().map(Cause::code), code);
        if code.is_some() {
            assert!(client.read(&mut [0; 16]).await.is_err(), "an error is not forgotten");
        }
        drop(server.await.unwrap());
    }
}

const fn side(server: bool) -> Side {
    if server { Side::Server } else { Side::Client }
}

/// Payload of any bytes in these pieces.
fn unpadded(wire: &[u8], piece: usize) -> Result<(Vec<u8>, Option<Command>), Cause> {
    let (mut blocks, mut payload) = (BlockDecoder::new(ID), Vec::new());
    for mut rest in wire.chunks(piece) {
        loop {
            match blocks.step(rest)? {
                BlockPart::More => break,
                BlockPart::Skip(length) => rest = &rest[length..],
                BlockPart::Content(length) => {
                    payload.extend_from_slice(&rest[..length]);
                    blocks.taken(length);
                    rest = &rest[length..];
                }
                BlockPart::Over(command) => return Ok((payload, Some(command))),
            }
        }
    }
    Ok((payload, None))
}

proptest! {
    #[test]
    fn blocks_in_any_pieces(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 1..6),
        piece in 1..3000_usize, seed: u64, long: bool,
    ) {
        let (mut wire, mut random) = (Vec::new(), StdRng::seed_from_u64(seed));
        for (number, content) in contents.iter().enumerate() {
            let command = if number + 1 == contents.len() { Command::Direct } else { Command::Continue };
            pad(&mut wire, (number == 0).then_some(&ID), command, content, long, &mut random);
        }
        prop_assert_eq!(unpadded(&wire, piece).unwrap(), (contents.concat(), Some(Command::Direct)));
    }

    #[test]
    fn any_blocks(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..40_usize) {
        let wire = [&ID.as_bytes()[..], &bytes].concat();
        let _ = (unpadded(&wire, piece), unpadded(&bytes, piece));
    }

    #[test]
    fn any_traffic(
        up in proptest::collection::vec(any::<u8>(), 0..100), kind in 0x14..0x19_u8, length in 0..40_u8, server: bool,
    ) {
        let mut traffic = Traffic::new(side(server));
        traffic.see_read(&[&[0x16, 3, 3, 1, 0, 2][..], &up].concat());
        traffic.see_written(&[&[kind, 3, 3, 0, length][..], &up].concat());
        traffic.see_written(&up);
    }
}
