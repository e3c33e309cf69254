//! Datagrams over real sockets of the loopback address.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::FutureExt;
use hezar_core::{Secret, Shadowsocks};
use proptest::prelude::*;
use shadowsocks::{
    config::{ServerConfig, ServerType},
    context::Context,
    relay::{
        socks5::Address,
        udprelay::{
            crypto_io::{decrypt_server_payload, encrypt_client_payload},
            options::UdpSocketControlData,
        },
    },
};
use tokio::{net::UdpSocket, time::timeout};

use super::{
    super::{
        ShadowsocksServer, ShadowsocksUdp,
        udp::{PAUSE, QUEUE},
    },
    Listener,
};
use crate::{
    BoxDatagram,
    protocol::{
        contract,
        datagram_contract::at,
        shadowsocks::{build, unix_now},
    },
    served::{CredentialId, DatagramRequest, Keyring},
    testing::{Far, datagram_connector, heard},
};

/// A limit for what happens at once or never.
const SOON: Duration = Duration::from_secs(20);

/// A listener and its address.
async fn start(listener: Listener) -> (ShadowsocksUdp, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (ShadowsocksUdp::new(socket, listener.server()), address)
}

/// Our own client, whose packets a test carries by hand.
struct Client {
    association: BoxDatagram,
    far: Far,
    socket: UdpSocket,
}

impl Client {
    async fn new(listener: Listener, user: u8, server: SocketAddr) -> Self {
        let (connector, _, far) = datagram_connector(1, 9);
        let password = Secret::new(listener.password(user));
        let settings = Shadowsocks { method: listener.method.into(), password, plugin: None, udp_over_tcp: false };
        let association = build(&settings, connector).unwrap().associate(&contract::attempt()).await.unwrap();
        Self { association, far, socket: socket_to(server).await }
    }

    /// The packet for a datagram.
    async fn packet(&mut self, payload: &[u8], target: &str) -> Vec<u8> {
        self.association.send_to(payload, &at(target)).await.unwrap();
        self.far.heard.recv().await.unwrap().0
    }

    async fn send(&mut self, payload: &[u8], target: &str) {
        let packet = self.packet(payload, target).await;
        self.socket.send(&packet).await.unwrap();
    }

    /// The next answer.
    async fn hear(&mut self) -> (Vec<u8>, String) {
        let packet = received(&self.socket).await.expect("an answer");
        self.far.says.send((packet, at("192.0.2.1:443"))).await.unwrap();
        let (payload, from) = timeout(SOON, heard(&*self.association)).await.unwrap().unwrap();
        (payload, from.to_string())
    }
}

async fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

async fn received(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut packet = vec![0; 70_000];
    let length = timeout(SOON, socket.recv(&mut packet)).await.ok()?.unwrap();
    packet.truncate(length);
    Some(packet)
}

async fn begun(server: &mut ShadowsocksUdp, keyring: &Keyring) -> DatagramRequest {
    timeout(SOON, server.next(keyring)).await.expect("an association begins").unwrap()
}

/// The next datagram of an association, while the server takes packets; none of them may begin another association.
async fn carried(server: &mut ShadowsocksUdp, keyring: &Keyring, datagram: &BoxDatagram) -> (Vec<u8>, String) {
    let got = tokio::select! {
        got = timeout(SOON, heard(&**datagram)) => got,
        _ = server.next(keyring) => panic!("an association begins"),
    };
    let (payload, target) = got.expect("a datagram").unwrap();
    (payload, target.to_string())
}

/// The server takes everything that has arrived, and no association begins by it: the next one is that of a new client.
async fn take_all(listener: Listener, server: &mut ShadowsocksUdp, address: SocketAddr, keyring: &Keyring) {
    let mut client = Client::new(listener, 3, address).await;
    client.send(b"the new one", "example.com:443").await;
    let request = begun(server, keyring).await;
    assert_eq!(request.client, Some(client.socket.local_addr().unwrap()), "{}", listener.method);
    assert_eq!(waiting(&request.datagram), [b"the new one"]);
}

/// What waits in an association now.
fn waiting(datagram: &BoxDatagram) -> Vec<Vec<u8>> {
    let next = || heard(&**datagram).now_or_never().map(|got| got.unwrap().0);
    std::iter::from_fn(next).collect()
}

/// A clock that a test sets.
static NOW: AtomicU64 = AtomicU64::new(0);

fn pass(seconds: u64) {
    NOW.fetch_add(seconds, Relaxed);
}

async fn start_with_clock(listener: Listener) -> (ShadowsocksUdp, SocketAddr) {
    NOW.store(unix_now(), Relaxed);
    let server = ShadowsocksServer::with_clock(listener.method, &listener.server_key(), || NOW.load(Relaxed)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (ShadowsocksUdp::new(socket, server), address)
}

#[tokio::test]
async fn our_own_clients_are_served() {
    for listener in Listener::all() {
        let (mut server, address) = start(listener).await;
        let keyring = listener.keyring();
        for user in [1, 3] {
            let mut client = Client::new(listener, user, address).await;
            client.send(b"question", "example.com:53").await;
            let request = begun(&mut server, &keyring).await;
            assert_eq!(request.credential, CredentialId(10 + u64::from(user)), "{}", listener.method);
            assert_eq!(request.client, Some(client.socket.local_addr().unwrap()));
            let question = carried(&mut server, &keyring, &request.datagram).await;
            assert_eq!(question, (b"question".to_vec(), "example.com:53".to_owned()));
            request.datagram.send_to(b"answer", &at("192.0.2.9:53")).await.unwrap();
            assert_eq!(client.hear().await, (b"answer".to_vec(), "192.0.2.9:53".to_owned()), "{}", listener.method);
            // More of the same session, of other sizes, to and from anywhere.
            for (target, payload) in
                [("192.0.2.7:443", &[9; 1200][..]), ("[2001:db8::1]:65535", b""), ("a.test:1", &[1; 60_000])]
            {
                client.send(payload, target).await;
                let got = carried(&mut server, &keyring, &request.datagram).await;
                assert_eq!(got, (payload.to_vec(), target.to_owned()));
                request.datagram.send_to(payload, &at("[2001:db8::2]:99")).await.unwrap();
                assert_eq!(client.hear().await, (payload.to_vec(), "[2001:db8::2]:99".to_owned()));
            }
            let error = request.datagram.send_to(&[0; 65_535], &at("192.0.2.7:1")).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
    }
}

#[tokio::test]
async fn foreign_clients_are_served() {
    for listener in Listener::all().filter(|listener| listener.method != "aes-192-gcm") {
        let (mut server, address) = start(listener).await;
        let method = listener.method.parse().unwrap();
        let config = ServerConfig::new(("127.0.0.1", 1), listener.password(2), method).unwrap();
        let (context, socket) = (Context::new_shared(ServerType::Local), socket_to(address).await);
        let mut control = UdpSocketControlData::default();
        (control.client_session_id, control.packet_id) = (42, 7);
        let target: Address = "example.com:443".parse().unwrap();
        let mut packet = BytesMut::new();
        encrypt_client_payload(
            &context,
            method,
            config.key(),
            &target,
            &control,
            config.identity_keys(),
            b"question",
            &mut packet,
        );
        socket.send(&packet).await.unwrap();
        let request = begun(&mut server, &listener.keyring()).await;
        assert_eq!(request.credential, CredentialId(12), "{}", listener.method);
        let question = heard(&*request.datagram).await.unwrap();
        assert_eq!(question, (b"question".to_vec(), at("example.com:443")));
        request.datagram.send_to(b"answer", &at("192.0.2.9:443")).await.unwrap();
        let mut answer = received(&socket).await.unwrap();
        let (length, from, control) = decrypt_server_payload(&context, method, config.key(), &mut answer).unwrap();
        assert_eq!((&answer[..length], from.to_string()), (&b"answer"[..], "192.0.2.9:443".to_owned()));
        if listener.is_2022() {
            assert_eq!(control.unwrap().client_session_id, 42);
        }
    }
}

#[tokio::test]
async fn packets_that_are_sent_again_are_passed_over() {
    for listener in Listener::all() {
        let (mut server, address) = start(listener).await;
        let keyring = listener.keyring();
        let mut client = Client::new(listener, 1, address).await;
        let first = client.packet(b"first", "example.com:443").await;
        client.socket.send(&first).await.unwrap();
        let request = begun(&mut server, &keyring).await;
        // From the same address, and from a prober's.
        let prober = socket_to(address).await;
        for socket in [&client.socket, &prober] {
            socket.send(&first).await.unwrap();
        }
        client.send(b"second", "example.com:443").await;
        take_all(listener, &mut server, address, &keyring).await;
        assert_eq!(waiting(&request.datagram), [&b"first"[..], b"second"], "{}", listener.method);
        prober.send(&first).await.unwrap();
        take_all(listener, &mut server, address, &keyring).await;
        request.datagram.send_to(b"answer", &at("192.0.2.9:443")).await.unwrap();
        assert_eq!(client.hear().await.0, b"answer", "{}: the answer goes to the client", listener.method);
        // The memory outlives the association.
        drop(request);
        prober.send(&first).await.unwrap();
        take_all(listener, &mut server, address, &keyring).await;
        assert!(prober.try_recv(&mut [0; 100]).is_err());
    }
}

#[tokio::test]
async fn strangers_get_no_word() {
    for listener in Listener::all() {
        let (mut server, address) = start(listener).await;
        let keyring = listener.keyring();
        let mut unknown = Client::new(listener, 9, address).await;
        let mut altered = Client::new(listener, 1, address).await.packet(b"x", "example.com:443").await;
        if let Some(last) = altered.last_mut() {
            *last ^= 1;
        }
        unknown.send(b"let me in", "example.com:443").await;
        for garbage in [&b""[..], &[1; 5], &[2; 60], &[3; 1400], &altered] {
            unknown.socket.send(garbage).await.unwrap();
        }
        take_all(listener, &mut server, address, &keyring).await;
        let answer = unknown.socket.try_recv(&mut [0; 100]).unwrap_err();
        assert_eq!(answer.kind(), std::io::ErrorKind::WouldBlock, "{}: a stranger is answered", listener.method);
    }
}

#[tokio::test]
async fn a_session_goes_on_from_another_address() {
    for listener in Listener::all().filter(|listener| listener.is_2022()) {
        let (mut server, address) = start(listener).await;
        let keyring = listener.keyring();
        let mut client = Client::new(listener, 1, address).await;
        client.send(b"at home", "example.com:443").await;
        let request = begun(&mut server, &keyring).await;
        client.socket = socket_to(address).await;
        client.send(b"on the road", "example.com:443").await;
        assert_eq!(carried(&mut server, &keyring, &request.datagram).await.0, b"at home");
        assert_eq!(carried(&mut server, &keyring, &request.datagram).await.0, b"on the road");
        request.datagram.send_to(b"answer", &at("192.0.2.9:443")).await.unwrap();
        assert_eq!(client.hear().await.0, b"answer", "{}", listener.method);
    }
}

/// The gateway ends idle associations; the client does not learn of it and goes on with its session. And the memory of
/// sessions has an end.
#[tokio::test]
async fn a_session_outlives_its_association() {
    for listener in Listener::all() {
        let (mut server, address) = start_with_clock(listener).await;
        let keyring = listener.keyring();
        let mut client = Client::new(listener, 1, address).await;
        client.send(b"1", "example.com:443").await;
        let request = begun(&mut server, &keyring).await;
        request.datagram.send_to(b"answer 1", &at("192.0.2.9:443")).await.unwrap();
        assert_eq!(client.hear().await.0, b"answer 1");
        drop(request);
        // A user that is refused does not ask with every packet.
        client.send(b"2", "example.com:443").await;
        take_all(listener, &mut server, address, &keyring).await;
        pass(PAUSE);
        client.send(b"3", "example.com:443").await;
        let request = begun(&mut server, &keyring).await;
        assert_eq!(waiting(&request.datagram), [b"3"]);
        request.datagram.send_to(b"answer 2", &at("192.0.2.9:443")).await.unwrap();
        assert_eq!(client.hear().await.0, b"answer 2", "{}", listener.method);
        assert_eq!(server.sessions(), 2);
        server.forget(NOW.load(Relaxed) + 30);
        assert_eq!(server.sessions(), 2, "one of their packets could be sent again");
        server.forget(NOW.load(Relaxed) + 100);
        assert_eq!(server.sessions(), 1, "the one that is carried stays");
    }
}

#[tokio::test]
async fn users_that_are_gone_and_users_with_other_numbers() {
    for listener in Listener::all() {
        let (mut server, address) = start(listener).await;
        let mut client = Client::new(listener, 1, address).await;
        client.send(b"1", "example.com:443").await;
        let request = begun(&mut server, &listener.keyring()).await;
        client.send(b"2", "example.com:443").await;
        // Another configuration has lost this user.
        take_all(listener, &mut server, address, &listener.keyring_of([2, 3])).await;
        assert_eq!(waiting(&request.datagram), [b"1"], "{}", listener.method);
    }
}

#[tokio::test]
async fn a_queue_that_nobody_reads_is_bounded() {
    let listener = Listener { method: "2022-blake3-aes-128-gcm" };
    let (mut server, address) = start(listener).await;
    let keyring = listener.keyring();
    let mut client = Client::new(listener, 1, address).await;
    client.send(b"first", "example.com:443").await;
    let request = begun(&mut server, &keyring).await;
    for _ in 0..2 * QUEUE {
        client.send(b"more", "example.com:443").await;
    }
    take_all(listener, &mut server, address, &keyring).await;
    assert_eq!(waiting(&request.datagram).len(), QUEUE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_does_not_panic(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for listener in Listener::all() {
                let (mut server, address) = start(listener).await;
                assert!(server.take_packet(&packet, address, &listener.keyring()).is_none());
            }
        });
    }
}
