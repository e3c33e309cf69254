//! TUIC against its definition and against a server written down from it.

use std::time::Duration;

use bytes::Bytes;
use hezar_core::Tls;
use proptest::prelude::*;
use quinn::{Connection, RecvStream, VarInt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    time::sleep,
};

use super::{wire::Packet, *};
use crate::{
    Cause,
    protocol::contract,
    quic::{
        fragments,
        peer::{self, Peer},
    },
    testing::until,
};

const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const PASSWORD: &str = "correct-horse";

fn v4() -> Target {
    Target::parse("192.0.2.1:53").unwrap()
}

#[test]
fn golden_commands() {
    let proof = wire::authenticate(ID, &[7; 32]);
    assert_eq!(proof[..20], *b"\x05\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x07\x07");
    assert_eq!(proof.len(), 50);
    assert_eq!(wire::connect(&contract::target()), b"\x05\x01\x00\x0bexample.com\x01\xbb");
    assert_eq!(wire::connect(&v4()), b"\x05\x01\x01\xc0\x00\x02\x01\x00\x35");
    let v6 = wire::connect(&Target::parse("[2001:db8::1]:53").unwrap());
    assert_eq!(v6, b"\x05\x01\x02\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35");
    assert_eq!(wire::dissociate(0x0102), b"\x05\x03\x01\x02");
    assert_eq!(wire::ALIVE, *b"\x05\x04");
}

#[test]
fn golden_packets() {
    let first = wire::packet(0x0102, 0x0304, (0, 2), &v4(), b"query");
    assert_eq!(first, &b"\x05\x02\x01\x02\x03\x04\x02\x00\x00\x05\x01\xc0\x00\x02\x01\x00\x35query"[..]);
    let later = wire::packet(0x0102, 0x0304, (1, 2), &v4(), b"rest");
    assert_eq!(later, &b"\x05\x02\x01\x02\x03\x04\x02\x01\x00\x04\xffrest"[..]);
    assert_eq!(wire::headers(&v4()), (first.len() - 5, later.len() - 4));
    let read = Packet::read(&first).unwrap();
    let payload = Bytes::from_static(b"query");
    let address = Some(v4());
    assert_eq!(read, Packet { session: 0x0102, packet: 0x0304, pieces: 2, piece: 0, address, payload });
    assert_eq!(Packet::read(&later).unwrap().address, None);
    for end in 0..first.len() {
        assert_eq!(Packet::read(&first.slice(..end)), None);
    }
    // Other versions, other commands, a port that cannot be.
    assert_eq!(Packet::read(&Bytes::from_static(b"\x04\x02\x01\x02\x03\x04\x01\x00\x00\x00\xff")), None);
    assert_eq!(Packet::read(&Bytes::from_static(b"\x05\x04")), None);
    assert_eq!(Packet::read(&Bytes::from_static(b"\x05\x02\0\0\0\0\x01\0\0\0\x01\x01\x01\x01\x01\0\0")), None);
}

/// A server: knows one client; `pause` is between a refused stream's end and the connection's. Echoes every stream, every packet in datagrams and in streams.
fn start(pause: Duration) -> (Peer, Target) {
    let peer = Peer::start(&["h3"], None);
    let target = Target::try_from(peer.address).unwrap();
    let endpoint = peer.endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move { speak(incoming.await.unwrap(), pause).await });
        }
    });
    (peer, target)
}

async fn whole(mut stream: RecvStream) -> Bytes {
    stream.read_to_end(100_000).await.unwrap().into()
}

async fn speak(connection: Connection, pause: Duration) {
    let proof = whole(connection.accept_uni().await.unwrap()).await;
    let mut token = [0; 32];
    connection.export_keying_material(&mut token, ID.as_bytes(), PASSWORD.as_bytes()).unwrap();
    if proof != wire::authenticate(ID, &token) {
        if !pause.is_zero() {
            drop(connection.accept_bi().await);
            sleep(pause).await;
        }
        connection.close(VarInt::from_u32(0), b"");
        return;
    }
    let (datagrams, streams) = (connection.clone(), connection.clone());
    tokio::spawn(async move {
        while let Ok(command) = datagrams.read_datagram().await {
            if command != wire::ALIVE[..] {
                datagrams.send_datagram(command).unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok(stream) = streams.accept_uni().await {
            let command = whole(stream).await;
            if command[1] == 2 {
                let mut back = streams.open_uni().await.unwrap();
                back.write_all(&command).await.unwrap();
                back.finish().unwrap();
            }
        }
    });
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let mut request = [0; 17];
            receive.read_exact(&mut request).await.unwrap();
            assert_eq!(request[..], wire::connect(&contract::target())[..]);
            let _ = tokio::io::copy(&mut receive, &mut send).await;
        });
    }
}

fn dialer(peer: &Peer, target: &Target, password: &str, mode: UdpRelayMode) -> TuicDialer {
    let server = peer.server(target);
    let pool = QuicPool::closing_after(Duration::from_millis(300));
    TuicDialer { server, id: ID, password: Secret::new(password), congestion: Congestion::Cubic, mode, pool }
}

#[tokio::test]
async fn a_whole_life() {
    for mode in [UdpRelayMode::Native, UdpRelayMode::Quic] {
        let (peer, target) = start(Duration::ZERO);
        let dialer = dialer(&peer, &target, PASSWORD, mode);
        sleep(Duration::from_millis(1)).await;
        let before = Handle::current().metrics().num_alive_tasks();
        for _ in 0..2 {
            let mut stream = dialer.connect(&contract::target(), &contract::attempt()).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"ping");
        }
        let datagrams = dialer.associate(&contract::attempt()).await.unwrap();
        let mut buffer = vec![0; 65_536];
        for length in [0, 1, 1000, 1200, 5000, 60_000] {
            let payload: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
            datagrams.send_to(&payload, &v4()).await.unwrap();
            let (received, from) = datagrams.recv_from(&mut buffer).await.unwrap();
            assert_eq!(from, v4());
            assert!(buffer[..received] == payload, "{length}");
        }
        drop(datagrams);
        until(|| dialer.pool.len() == 0).await;
        until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_named() {
    // Some servers end the streams before the connection.
    for pause in [0, 50] {
        wrong_password(start(Duration::from_millis(pause))).await;
    }
}

async fn wrong_password((peer, target): (Peer, Target)) {
    let dialer = dialer(&peer, &target, "wrong", UdpRelayMode::Native);
    let mut stream = dialer.connect(&contract::target(), &contract::attempt()).await.unwrap();
    let _ = stream.write_all(b"ping").await;
    let cause = Cause::from(stream.read(&mut [0; 4]).await.unwrap_err());
    assert!(matches!(cause, Cause::Authentication), "{cause}");
}

#[test]
fn version_4_is_refused_by_name() {
    let user = TuicUser::V4 { token: Secret::new("token") };
    let (congestion, udp_relay) = (Congestion::Cubic, UdpRelayMode::Native);
    let settings = Tuic { user, congestion, udp_relay, reduce_rtt: false, tls: Tls::default() };
    let refused = build(&settings, &v4(), peer::sockets(), &crate::TlsClients::new(&[]).into()).err();
    assert_eq!(refused, Some(BuildError::Unsupported("TUIC version 4")));
}

proptest! {
    #[test]
    fn any_command(bytes in any::<Vec<u8>>()) {
        let bytes = Bytes::from(bytes);
        Packet::read(&bytes);
        // What follows a right beginning.
        Packet::read(&[b"\x05\x02", &bytes[..]].concat().into());
    }

    #[test]
    fn any_packet(session: u16, packet: u16, payload in proptest::collection::vec(any::<u8>(), 0..3000), room in 20usize..4000) {
        let (count, pieces) = fragments::cut(&payload, room, room).unwrap();
        for (piece, part) in pieces {
            let written = wire::packet(session, packet, (piece, count), &contract::target(), part);
            let read = Packet::read(&written).unwrap();
            prop_assert_eq!((read.session, read.packet, read.piece, read.pieces), (session, packet, piece, count));
            prop_assert_eq!(read.address, (piece == 0).then(contract::target));
            prop_assert_eq!(&read.payload[..], part);
        }
    }
}
