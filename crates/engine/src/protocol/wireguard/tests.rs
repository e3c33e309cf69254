//! WireGuard against a server made of the same two libraries, over datagrams in memory.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use boringtun::{
    noise::{Tunn, TunnResult},
    x25519::{PublicKey, StaticSecret},
};
use hezar_core::{Secret, Target, WireGuard};
use hickory_resolver::proto::{
    op::{Message, MessageType},
    rr::{RData, Record, rdata::A},
};
use proptest::prelude::*;
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{tcp, udp},
    time::Instant as StackInstant,
    wire::{HardwareAddress, IpAddress, IpCidr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{WireGuardDialer, build, stack::Stack};
use crate::{
    Attempt, BoxDatagram, BoxStream, BuildError, Cause, Datagram, DialError, Dialer,
    budget::{ConnectionBudget, IdleConnections},
    testing::until,
};

const RESERVED: [u8; 3] = [7, 8, 9];

fn settings(server: &StaticSecret, client: &StaticSecret) -> WireGuard {
    let text = |key: &[u8; 32]| BASE64_STANDARD.encode(key);
    WireGuard {
        private_key: Secret::new(text(&client.to_bytes())),
        public_key: Some(text(PublicKey::from(server).as_bytes()).into()),
        pre_shared_key: Some(Secret::new(text(&[5; 32]))),
        addresses: vec!["10.0.0.2/32".into()],
        reserved: RESERVED,
        mtu: Some(1280),
        keepalive: None,
    }
}

/// A way through memory that hands out datagrams and no streams.
#[derive(Debug)]
struct Wire {
    ends: Mutex<Vec<Memory>>,
}

#[async_trait]
impl Dialer for Wire {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        unreachable!("WireGuard needs datagrams only")
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let end = self.ends.lock().await.pop().ok_or(Cause::Refused);
        attempt.stage(hezar_core::Stage::Connect, async { end.map(|end| Box::new(end) as BoxDatagram) }).await
    }
}

#[derive(Debug)]
struct Memory {
    to: mpsc::UnboundedSender<Vec<u8>>,
    from: parking_lot::Mutex<mpsc::UnboundedReceiver<Vec<u8>>>,
}

fn memory() -> (Memory, Memory) {
    let ((a, from_a), (b, from_b)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    (Memory { to: a, from: parking_lot::Mutex::new(from_b) }, Memory { to: b, from: parking_lot::Mutex::new(from_a) })
}

impl Datagram for Memory {
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], _: &Target) -> Poll<std::io::Result<()>> {
        Poll::Ready(self.to.send(payload.to_vec()).map_err(|_| Cause::Closed.into()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<std::io::Result<(usize, Target)>> {
        let datagram = ready!(self.from.lock().poll_recv(cx)).ok_or(Cause::Closed)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Poll::Ready(Ok((datagram.len(), Target::parse("192.0.2.1:51820").unwrap())))
    }
}

/// The packets of the server's stack.
#[derive(Default)]
struct Packets {
    received: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Taken(Vec<u8>);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Given<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Given<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Packets {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Given<'a>;

    fn receive(&mut self, _: StackInstant) -> Option<(Taken, Given<'_>)> {
        if self.received.is_empty() {
            return None;
        }
        Some((Taken(self.received.remove(0)), Given(&mut self.sent)))
    }

    fn transmit(&mut self, _: StackInstant) -> Option<Given<'_>> {
        Some(Given(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1280;
        capabilities
    }
}

/// A server that echoes TCP on 192.0.2.7:80 and UDP on 192.0.2.7:7, and answers names on 1.1.1.1:53.
async fn serve(wire: Memory, server: StaticSecret, client: PublicKey) {
    let wire: &dyn Datagram = &wire;
    let mut tunn = Tunn::new(server, client, Some([5; 32]), None, 1, None);
    let mut packets = Packets::default();
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut packets, StackInstant::ZERO);
    let own = Ipv4Addr::new(192, 0, 2, 7);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(IpAddress::from(IpAddr::V4(own)), 24)).unwrap();
        addresses.push(IpCidr::new(IpAddress::from(IpAddr::from([1, 1, 1, 1])), 32)).unwrap();
    });
    interface.routes_mut().add_default_ipv4_route(own).unwrap();
    let mut sockets = SocketSet::new(Vec::new());
    let buffer = || tcp::SocketBuffer::new(vec![0; 20_000]);
    // One for each connection of a test: a socket that is still saying goodbye does not listen.
    let echoes: Vec<_> = (0..4).map(|_| sockets.add(tcp::Socket::new(buffer(), buffer()))).collect();
    for echo in &echoes {
        sockets.get_mut::<tcp::Socket<'_>>(*echo).listen(80).unwrap();
    }
    let mut bound = |port: u16| {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 20_000]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        sockets.add(socket)
    };
    let (datagrams, names) = (bound(7), bound(53));
    let started = Instant::now();
    let (mut input, mut out) = (vec![0; 2000], vec![0; 2000]);
    let to = Target::parse("192.0.2.2:1").unwrap();
    loop {
        interface.poll(StackInstant::from_millis(started.elapsed().as_millis() as i64), &mut packets, &mut sockets);
        for echo in &echoes {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*echo);
            while socket.can_recv() && socket.can_send() {
                let mut bytes = [0; 1000];
                let room = (socket.send_capacity() - socket.send_queue()).min(1000);
                let length = socket.recv_slice(&mut bytes[..room]).unwrap();
                socket.send_slice(&bytes[..length]).unwrap();
            }
            if socket.state() == tcp::State::CloseWait && !socket.can_recv() {
                socket.close();
            }
        }
        for handle in [datagrams, names] {
            let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
            while let Ok((payload, from)) = socket.recv() {
                let answer = if handle == names { answer(payload) } else { payload.to_vec() };
                socket.send_slice(&answer, from).unwrap();
            }
        }
        for packet in std::mem::take(&mut packets.sent) {
            if let TunnResult::WriteToNetwork(message) = tunn.encapsulate(&packet, &mut out) {
                let _ = wire.send_to(message, &to).await;
            }
        }
        let Ok(received) = timeout(Duration::from_millis(5), wire.recv_from(&mut input)).await else { continue };
        let Ok((length, _)) = received else { return };
        assert_eq!(input[1..4], RESERVED, "every message is marked");
        input[1..4].fill(0);
        let mut message = &input[..length];
        loop {
            match tunn.decapsulate(None, message, &mut out) {
                TunnResult::WriteToNetwork(answer) => {
                    answer[1..4].copy_from_slice(&RESERVED);
                    let _ = wire.send_to(answer, &to).await;
                    message = &[];
                }
                TunnResult::WriteToTunnelV4(packet, _) => break packets.received.push(packet.to_vec()),
                _ => break,
            }
        }
    }
}

/// Every name has the server's address, save one.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(query).unwrap();
    message.metadata.message_type = MessageType::Response;
    let name = message.queries[0].name().clone();
    if !name.to_string().starts_with("nowhere") {
        message.answers.push(Record::from_rdata(name, 60, RData::A(A(Ipv4Addr::new(192, 0, 2, 7)))));
    }
    message.to_vec().unwrap()
}

fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(60))
}

fn world() -> (Arc<dyn Dialer>, JoinHandle<()>) {
    world_within(&ConnectionBudget::default())
}

fn world_within(budget: &ConnectionBudget) -> (Arc<dyn Dialer>, JoinHandle<()>) {
    let (server, client) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let (ours, theirs) = memory();
    let settings = settings(&server, &client);
    let serving = tokio::spawn(serve(theirs, server, PublicKey::from(&client)));
    let wire = Arc::new(Wire { ends: Mutex::new(vec![ours]) });
    (build(&settings, &Target::parse("192.0.2.1:51820").unwrap(), wire, budget).unwrap(), serving)
}

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

#[tokio::test]
async fn streams_share_a_tunnel() {
    let (dialer, _serving) = world();
    for name in ["192.0.2.7:80", "site.example:80", "site.example:80"] {
        let mut stream = dialer.connect(&target(name), &attempt()).await.unwrap();
        let sent: Vec<u8> = (0..300_000_usize).map(|i| (i >> 3) as u8).collect();
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let mut back = Vec::new();
        let writing = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let (read, ()) = tokio::join!(reader.read_to_end(&mut back), writing);
        read.unwrap();
        assert!(back == sent, "{name}");
    }
    let error = dialer.connect(&target("192.0.2.7:81"), &attempt()).await.err().unwrap();
    assert_eq!(error.code(), "target-unreachable");
    let error = dialer.connect(&target("nowhere.example:80"), &attempt()).await.err().unwrap();
    assert_eq!(error.code(), "target-unreachable");
    let error = dialer.connect(&target("[2001:db8::1]:80"), &attempt()).await.err().unwrap();
    assert_eq!(error.code(), "target-unreachable");
}

#[tokio::test]
async fn datagrams() {
    let (dialer, _serving) = world();
    let association = dialer.associate(&attempt()).await.unwrap();
    for name in ["192.0.2.7:7", "site.example:7"] {
        association.send_to(b"question", &target(name)).await.unwrap();
        let mut buffer = [0; 100];
        let (length, from) = association.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"question"[..], target("192.0.2.7:7")));
    }
    assert!(association.send_to(&[0; 1280], &target("192.0.2.7:7")).await.is_err());
    assert!(association.send_to(b"x", &target("[2001:db8::1]:7")).await.is_err());
}

#[tokio::test]
async fn a_server_that_is_gone_ends_the_streams() {
    let (dialer, serving) = world();
    let mut stream = dialer.connect(&target("192.0.2.7:80"), &attempt()).await.unwrap();
    serving.abort();
    assert!(stream.read_u8().await.is_err());
    let error = dialer.connect(&target("192.0.2.7:80"), &attempt()).await.err().unwrap();
    assert_eq!(error.code(), "refused", "a new tunnel is asked for");
}

#[tokio::test]
async fn of_all_nodes_connections_only_so_many_stay_open_unused() {
    let budget = ConnectionBudget { idle: Arc::new(IdleConnections::new(1)), ..ConnectionBudget::default() };
    let [first, second] = [(); 2].map(|()| world_within(&budget));
    drop(first.0.connect(&target("192.0.2.7:80"), &attempt()).await.unwrap());
    until(|| budget.idle.len() == 1).await;
    drop(second.0.connect(&target("192.0.2.7:80"), &attempt()).await.unwrap());
    // Its server sees the end long before its own time is over.
    timeout(Duration::from_secs(30), first.1).await.unwrap().unwrap();
    assert!(!second.1.is_finished());
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let (server, client) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let (ours, _theirs) = memory();
    let wire = Arc::new(Wire { ends: Mutex::new(vec![ours]) });
    let dialer =
        build(&settings(&server, &client), &target("192.0.2.1:51820"), wire, &ConnectionBudget::default()).unwrap();
    let error =
        dialer.connect(&target("192.0.2.7:80"), &Attempt::within(Duration::from_millis(50))).await.err().unwrap();
    assert_eq!((error.code(), error.stage), ("timeout", hezar_core::Stage::Handshake));
}

#[test]
fn checks_the_settings() {
    let (server, client) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let good = settings(&server, &client);
    let build = |settings: &WireGuard| {
        build(settings, &target("192.0.2.1:1"), Arc::new(Wire { ends: Mutex::default() }), &ConnectionBudget::default())
            .map(drop)
    };
    assert_eq!(build(&good), Ok(()));
    let bad = [
        WireGuard { public_key: None, ..good.clone() },
        WireGuard { public_key: Some("AAAA".into()), ..good.clone() },
        WireGuard { private_key: Secret::new("?"), ..good.clone() },
        WireGuard { pre_shared_key: Some(Secret::new("AAAA")), ..good.clone() },
        WireGuard { addresses: Vec::new(), ..good.clone() },
        WireGuard { addresses: vec!["10.0.0.x/32".into()], ..good.clone() },
    ];
    for settings in bad {
        assert!(matches!(build(&settings), Err(BuildError::Invalid(_))));
    }
    let both = super::addresses(&["10.0.0.2/32".into(), "10.0.0.3".into(), "fd00::2/128".into()]).unwrap();
    assert_eq!(both.len(), 2);
    assert!(format!("{:?}", std::marker::PhantomData::<WireGuardDialer>).contains("WireGuardDialer"));
}

/// A long stream keeps its port while thousands of others come and go.
#[test]
fn ports_in_use_are_skipped() {
    let mut stack = Stack::new(&[IpAddr::from([10, 0, 0, 2])], 1280);
    let (target, mut out) = ("192.0.2.7:443".parse().unwrap(), Vec::new());
    let port_of = |stack: &Stack, handle| stack.sockets.get::<tcp::Socket<'_>>(handle).local_endpoint().unwrap().port;
    let long = stack.connect(target).unwrap();
    let held = port_of(&stack, long);
    for _ in 0..=u16::MAX - 49152 {
        let handle = stack.connect(target).unwrap();
        assert_ne!(port_of(&stack, handle), held);
        stack.leave(handle);
        stack.poll(&mut out);
        out.clear();
    }
}

/// Somebody else begins the tunnel and takes long: whoever waits for that keeps to its own deadline.
#[tokio::test(start_paused = true)]
async fn waiting_for_the_tunnel_is_bounded() {
    #[derive(Debug)]
    struct Stuck;
    #[async_trait]
    impl Dialer for Stuck {
        async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
            unreachable!("WireGuard needs datagrams only")
        }
        async fn associate(&self, _: &Attempt) -> Result<BoxDatagram, DialError> {
            std::future::pending().await
        }
    }
    let (server, client) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let dialer = build(
        &settings(&server, &client),
        &Target::parse("192.0.2.1:51820").unwrap(),
        Arc::new(Stuck),
        &ConnectionBudget::default(),
    )
    .unwrap();
    let target = Target::parse("192.0.2.9:80").unwrap();
    let begun = Instant::now();
    let within = |seconds| {
        let (dialer, target) = (Arc::clone(&dialer), target.clone());
        async move {
            let error = dialer.connect(&target, &Attempt::within(Duration::from_secs(seconds))).await.err().unwrap();
            (error.code(), begun.elapsed().as_secs())
        }
    };
    let (first, second) = tokio::join!(within(20), within(2));
    assert_eq!((first, second), (("timeout", 20), ("timeout", 2)));
}

proptest! {
    /// What comes out of the tunnel is only as good as its server.
    #[test]
    fn no_packet_breaks_the_stack(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut stack = Stack::new(&[IpAddr::from([10, 0, 0, 2])], 1280);
            stack.connect("192.0.2.7:80".parse().unwrap()).unwrap();
            let mut out = Vec::new();
            for mut packet in packets {
                stack.receive(&packet);
                // Some of them should look like packets.
                if let Some(first) = packet.first_mut() {
                    *first = 0x45;
                    stack.receive(&packet);
                }
                stack.poll(&mut out);
            }
        });
    }
}
