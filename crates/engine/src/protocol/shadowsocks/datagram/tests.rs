//! Shadowsocks datagrams against the server side of the `shadowsocks` crate, which shares no code with ours.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use hezar_core::{Secret, Shadowsocks, Target};
use proptest::prelude::*;
use shadowsocks::{
    config::{ServerConfig, ServerType, ServerUser, ServerUserManager},
    context::{Context, SharedContext},
    crypto::CipherKind,
    relay::{
        socks5::Address,
        udprelay::{
            crypto_io::{decrypt_client_payload, encrypt_server_payload},
            options::UdpSocketControlData,
        },
    },
};

use super::super::{aead2022::Keys, build, packet2022::PacketSession, replay::Window, wire::Aead, xchacha};
use crate::{
    BoxDatagram,
    protocol::contract,
    testing::{Far, Flying, datagram_connector, heard},
};

fn key(byte: u8, length: usize) -> String {
    BASE64_STANDARD.encode(vec![byte; length])
}

fn at(text: &str) -> Target {
    Target::parse(text).unwrap()
}

/// A server for one client.
struct Server {
    context: SharedContext,
    kind: CipherKind,
    config: ServerConfig,
    users: Option<ServerUserManager>,
    session: u64,
    packet: u64,
    client: Option<UdpSocketControlData>,
}

impl Server {
    fn new(method: &str, password: &str, user: Option<&str>) -> Self {
        let kind: CipherKind = method.parse().unwrap();
        let users = user.map(|key| {
            let mut users = ServerUserManager::new();
            users.add_user(ServerUser::with_encoded_key("user", key).unwrap());
            users
        });
        let config = ServerConfig::new(("127.0.0.1", 1), password, kind).unwrap();
        Self {
            context: Context::new_shared(ServerType::Server),
            kind,
            config,
            users,
            session: 77,
            packet: 0,
            client: None,
        }
    }

    fn open(&mut self, mut packet: Vec<u8>) -> Option<(Vec<u8>, String)> {
        let key = self.config.key();
        let opened = decrypt_client_payload(&self.context, self.kind, key, &mut packet, self.users.as_ref()).ok()?;
        let (length, address, control) = opened;
        self.client = control;
        packet.truncate(length);
        Some((packet, address.to_string()))
    }

    /// An answer to the client that was heard last.
    fn seal(&mut self, from: &str, payload: &[u8]) -> Vec<u8> {
        let mut control = UdpSocketControlData::default();
        let client = self.client.clone().unwrap_or_default();
        control.client_session_id = client.client_session_id;
        control.server_session_id = self.session;
        control.packet_id = self.packet;
        self.packet += 1;
        let key = client.user.as_ref().map_or(self.config.key(), |user| user.key()).to_vec();
        let from: Address = from.parse().unwrap();
        let mut bytes = BytesMut::new();
        encrypt_server_payload(&self.context, self.kind, &key, &from, &control, payload, &mut bytes);
        bytes.to_vec()
    }
}

async fn associate(method: &str, password: &str) -> (BoxDatagram, Far) {
    let (connector, _, far) = datagram_connector(1, 9);
    let settings =
        Shadowsocks { method: method.into(), password: Secret::new(password), plugin: None, udp_over_tcp: false };
    (build(&settings, connector).unwrap().associate(&contract::attempt()).await.unwrap(), far)
}

fn flying(bytes: Vec<u8>) -> Flying {
    (bytes, at("192.0.2.1:443"))
}

async fn both_ways(method: &str, password: &str, mut server: Server) {
    let (association, mut far) = associate(method, password).await;
    for (target, payload) in [
        ("example.com:53", &b"question"[..]),
        ("192.0.2.7:443", &[9; 1200]),
        ("[2001:db8::1]:65535", b""),
        ("example.com:1", &[1; 60_000]),
    ] {
        association.send_to(payload, &at(target)).await.unwrap();
        let (packet, to) = far.heard.recv().await.unwrap();
        assert_eq!(to, at("192.0.2.1:443"));
        let (opened, asked) = server.open(packet).unwrap_or_else(|| panic!("{method}: the server does not open it"));
        assert!(opened == payload && asked == target, "{method} {target}");
        let answer = server.seal("192.0.2.9:99", payload);
        far.says.send(flying(answer)).await.unwrap();
        assert_eq!(heard(&*association).await.unwrap(), (payload.to_vec(), at("192.0.2.9:99")), "{method} {target}");
    }
    let error = association.send_to(&[0; 65_535], &at("1.2.3.4:1")).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    // What is not the server's is passed over: garbage, and its own words from elsewhere.
    let sealed = server.seal("192.0.2.9:99", b"from a stranger");
    far.says.send((sealed, at("192.0.2.2:443"))).await.unwrap();
    far.says.send(flying(vec![3; 5])).await.unwrap();
    far.says.send(flying(Vec::new())).await.unwrap();
    let last = server.seal("192.0.2.9:99", b"last");
    far.says.send(flying(last)).await.unwrap();
    assert_eq!(heard(&*association).await.unwrap().0, b"last");
}

#[tokio::test]
async fn every_edition() {
    for method in ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305", "none"] {
        both_ways(method, "barfoo!", Server::new(method, "barfoo!", None)).await;
    }
    for (method, length) in
        [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32), ("2022-blake3-chacha20-poly1305", 32)]
    {
        both_ways(method, &key(5, length), Server::new(method, &key(5, length), None)).await;
    }
}

#[tokio::test]
async fn identity_headers() {
    for (method, length) in [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32)] {
        let (server, user) = (key(6, length), key(7, length));
        both_ways(method, &format!("{server}:{user}"), Server::new(method, &server, Some(&user))).await;
    }
}

#[cfg(feature = "stream-cipher")]
#[tokio::test]
async fn stream_ciphers() {
    for method in ["aes-256-cfb", "aes-128-ctr", "rc4-md5", "chacha20-ietf", "camellia-192-cfb"] {
        both_ways(method, "barfoo!", Server::new(method, "barfoo!", None)).await;
    }
}

#[tokio::test]
async fn another_password_is_not_heard() {
    for (method, ours, theirs) in [
        ("aes-256-gcm", "ours".to_owned(), "theirs".to_owned()),
        ("2022-blake3-aes-256-gcm", key(1, 32), key(2, 32)),
        ("2022-blake3-chacha20-poly1305", key(1, 32), key(2, 32)),
    ] {
        let (association, mut far) = associate(method, &ours).await;
        association.send_to(b"x", &at("example.com:1")).await.unwrap();
        let mut server = Server::new(method, &theirs, None);
        assert!(server.open(far.heard.recv().await.unwrap().0).is_none());
        let answer = server.seal("1.2.3.4:5", b"answer");
        far.says.send(flying(answer)).await.unwrap();
        drop(far.says);
        assert!(heard(&*association).await.is_err(), "{method}: the path ends and nothing was heard");
    }
}

/// Sessions of the 2022 edition: repetitions, other clients' answers and servers that change too often.
#[tokio::test]
async fn sessions_and_repetitions() {
    for (method, length) in [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-chacha20-poly1305", 32)] {
        let (association, mut far) = associate(method, &key(5, length)).await;
        let mut server = Server::new(method, &key(5, length), None);
        association.send_to(b"x", &at("example.com:1")).await.unwrap();
        server.open(far.heard.recv().await.unwrap().0).unwrap();
        let first = server.seal("1.2.3.4:5", b"first");
        let mut restarted = |session: u64, payload: &[u8]| {
            (server.session, server.packet) = (session, 0);
            server.seal("1.2.3.4:5", payload)
        };
        let second = restarted(78, b"second");
        let third = restarted(79, b"third: too soon");
        for packet in [&first, &first, &second, &second, &third, &first] {
            far.says.send(flying(packet.clone())).await.unwrap();
        }
        server.session = 78;
        server.packet = 5;
        let late = server.seal("1.2.3.4:5", b"late");
        server.client.as_mut().unwrap().client_session_id ^= 1;
        let other = server.seal("1.2.3.4:5", b"of another client");
        for packet in [other, late] {
            far.says.send(flying(packet)).await.unwrap();
        }
        for expected in [&b"first"[..], b"second", b"late"] {
            assert_eq!(heard(&*association).await.unwrap().0, expected, "{method}");
        }
    }
}

#[test]
fn a_server_session_may_follow_after_a_minute() {
    static NOW: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1_700_000_000);
    fn clock() -> u64 {
        NOW.load(std::sync::atomic::Ordering::Relaxed)
    }
    let keys = Keys::new(Aead::Chacha20Poly1305, &key(1, 32)).unwrap();
    let mut session = PacketSession::new(keys, [1; 8], clock).unwrap();
    let mut answer = |server: u8, kind: u8, time: u64, client: u8| {
        let mut wire = vec![9; 24];
        wire.extend([[server; 8], [0; 8]].concat());
        wire.push(kind);
        wire.extend(time.to_be_bytes());
        wire.extend([client; 8]);
        wire.extend([0, 2, 7, 7, 1, 1, 2, 3, 4, 0, 5, b'x']);
        xchacha::seal(&[1; 32], &[9; 24], &mut wire, 24).unwrap();
        session.open(&mut wire).map(|range| wire[range].to_vec())
    };
    let start = clock();
    assert_eq!(answer(1, 1, start, 1).unwrap(), [1, 1, 2, 3, 4, 0, 5, b'x']);
    assert!(answer(2, 0, start, 1).is_none(), "a request");
    assert!(answer(2, 1, start - 31, 1).is_none(), "too old");
    assert!(answer(2, 1, start + 31, 1).is_none(), "from the future");
    assert!(answer(2, 1, start, 2).is_none(), "another client's");
    assert!(answer(2, 1, start, 1).is_some());
    assert!(answer(3, 1, start, 1).is_none(), "too soon");
    NOW.fetch_add(61, std::sync::atomic::Ordering::Relaxed);
    assert!(answer(3, 1, start + 61, 1).is_some());
}

/// The vector of draft-irtf-cfrg-xchacha-03 §2.2.1.
#[test]
fn hchacha20() {
    let key = std::array::from_fn(|i| i as u8);
    let nonce = hex::decode("000000090000004a0000000031415927").unwrap();
    assert_eq!(
        hex::encode(xchacha::hchacha20(&key, &nonce)),
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    );
}

/// The vector of draft-irtf-cfrg-xchacha-03 §A.3.1 has associated data; without it the text is the same.
#[test]
fn xchacha20_poly1305() {
    let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
    let nonce = std::array::from_fn(|i| 0x40 + i as u8);
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let mut wire = text.to_vec();
    xchacha::seal(&key, &nonce, &mut wire, 0).unwrap();
    assert_eq!(hex::encode(&wire[..16]), "bd6d179d3e83d43b9576579493c0e939");
    assert_eq!(xchacha::open(&key, &nonce, &mut wire).unwrap(), text);
    wire[3] ^= 1;
    assert!(xchacha::open(&key, &nonce, &mut wire).is_none());
    assert!(xchacha::seal(&[0; 31], &nonce, &mut wire, 0).is_err());
}

#[test]
fn the_window_moves() {
    let mut window = Window::default();
    assert!(window.accept(0) && !window.accept(0));
    assert!(window.accept(5) && window.accept(3) && !window.accept(5) && !window.accept(3));
    assert!(window.accept(10_000) && !window.accept(3));
    assert!(window.accept(10_000 - 1900) && !window.accept(10_000 - 1900));
    assert!(!window.accept(10_000 - 2100));
    assert!(window.accept(u64::MAX) && !window.accept(u64::MAX) && window.accept(u64::MAX - 1));
}

proptest! {
    #[test]
    fn each_number_once(numbers in prop::collection::vec(0..5000_u64, 1..400)) {
        let (mut window, mut seen) = (Window::default(), std::collections::HashSet::new());
        let mut highest = 0;
        for number in numbers {
            let accepted = window.accept(number);
            prop_assert!(!accepted || seen.insert(number));
            highest = number.max(highest);
            prop_assert!(accepted || seen.contains(&number) || highest - number >= 1900);
        }
    }

    #[test]
    fn garbage_is_passed_over(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (method, password) in [
            ("aes-128-gcm", "x".to_owned()), ("none", String::new()), ("2022-blake3-aes-128-gcm", key(1, 16)),
            ("2022-blake3-chacha20-poly1305", key(1, 32)), ("aes-256-cfb", "x".to_owned()),
        ] {
            let packets = packets.clone();
            runtime.block_on(async move {
                let (association, far) = associate(method, &password).await;
                for packet in packets {
                    far.says.send(flying(packet)).await.unwrap();
                }
                drop(far);
                while heard(&*association).await.is_ok() {}
            });
        }
    }
}

/// Whoever sends our packets back has no key and is not opened, as long as we remember.
#[test]
fn our_own_packets_are_no_answer() {
    let cipher = Aead::Aes128Gcm;
    let packets = || super::Packets::Aead(cipher, vec![7; cipher.key_length()].into(), Default::default());
    let (mut ours, mut server) = (packets(), packets());
    let target = at("192.0.2.1:53");
    let sent: Vec<_> = (0..300_usize).map(|_| ours.seal(b"question", &target).unwrap()).collect();
    for (number, packet) in sent.iter().enumerate() {
        let opened = ours.open(&mut packet.clone()).is_some();
        assert_eq!(opened, number < 300 - super::aead2017::Salts::MOST, "{number}");
    }
    let mut answer = server.seal(b"answer", &target).unwrap();
    assert_eq!(ours.open(&mut answer).map(|(from, text)| (from, text.to_vec())), Some((target, b"answer".to_vec())));
}
