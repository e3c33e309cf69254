//! Every kind serves real clients, and every fault is what it says.

use std::{
    io,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    CLOSED_HOST, DEMO_HOST, Distance, ECHO_HOST, Fault, FaultSchedule, GREET_HOST, Kind, LEDGER_HOST, LabNode,
    SECURE_HOST, SilentListeners, World, WorldConfig, hosts,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// User and password of a plain `scheme://user:password@…` link.
fn userinfo(node: &LabNode) -> (String, String) {
    let rest = node.link.split_once("://").unwrap().1;
    let Some((info, _)) = rest.rsplit_once('@') else {
        return Default::default();
    };
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    (user.to_owned(), password.to_owned())
}

/// A tunnel through a SOCKS or HTTP node, made by hand; the error is the server's reply.
async fn open(node: &LabNode, host: &str, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(node.address).await?;
    let (user, password) = userinfo(node);
    let refused = |reply: u8| io::Error::other(format!("reply {reply}"));
    match node.kind {
        Kind::Socks4 | Kind::Socks4a => {
            let address = hosts().find(|(name, _)| node.kind == Kind::Socks4 && *name == host);
            let (address, name) = match address {
                Some((_, address)) => (address.octets(), Vec::new()),
                None => ([0, 0, 0, 1], host.bytes().chain([0]).collect()),
            };
            let mut request = vec![4, 1];
            request.extend(port.to_be_bytes());
            request.extend(address);
            request.extend(user.bytes().chain([0]).chain(name));
            stream.write_all(&request).await?;
            let mut reply = [0; 8];
            stream.read_exact(&mut reply).await?;
            if reply[1] != 0x5a { Err(refused(reply[1])) } else { Ok(stream) }
        }
        Kind::Socks5 | Kind::Socks5Auth => {
            let method = if node.kind == Kind::Socks5 { 0 } else { 2 };
            stream.write_all(&[5, 1, method]).await?;
            let mut choice = [0; 2];
            stream.read_exact(&mut choice).await?;
            if choice[1] != method {
                return Err(refused(choice[1]));
            }
            if method == 2 {
                let mut login = vec![1, user.len() as u8];
                login.extend(user.bytes().chain([password.len() as u8]).chain(password.bytes()));
                stream.write_all(&login).await?;
                stream.read_exact(&mut choice).await?;
                if choice[1] != 0 {
                    return Err(refused(choice[1]));
                }
            }
            let mut request = vec![5, 1, 0, 3, host.len() as u8];
            request.extend(host.bytes().chain(port.to_be_bytes()));
            stream.write_all(&request).await?;
            let mut reply = [0; 10];
            stream.read_exact(&mut reply).await?;
            if reply[1] != 0 { Err(refused(reply[1])) } else { Ok(stream) }
        }
        _ => {
            let basic = STANDARD.encode(format!("{user}:{password}"));
            let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let status = String::from_utf8_lossy(&head[9..12]).into_owned();
            if status != "200" { Err(io::Error::other(status)) } else { Ok(stream) }
        }
    }
}

async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {DEMO_HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

const PLAIN: [Kind; 6] = [Kind::Socks4, Kind::Socks4a, Kind::Socks5, Kind::Socks5Auth, Kind::Http, Kind::HttpAuth];

async fn world(kinds: impl IntoIterator<Item = Kind>) -> World {
    World::start(WorldConfig::kinds(kinds)).await.unwrap()
}

#[tokio::test]
async fn plain_kinds_lead_to_the_origin_and_nowhere_else() {
    let world = world(PLAIN).await;
    for node in world.nodes() {
        let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
        let answer = get(&mut stream, "/x").await.unwrap();
        assert!(answer.contains(&format!("\"node\":\"{}\"", node.name)), "{answer}");
        let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
        assert!(get(&mut stream, "/generate_204").await.unwrap().starts_with("HTTP/1.1 204"));
        for (host, port) in [("127.0.0.1", 80), ("example.org", 80), (CLOSED_HOST, 80), (DEMO_HOST, 443)] {
            assert!(open(node, host, port).await.is_err(), "{} opened {host}:{port}", node.name);
        }
        let counts = world.counts(node.index).unwrap();
        assert_eq!((counts.accepted, counts.served, counts.requests), (6, 2, 2));
    }
    world.shutdown().await;
}

#[tokio::test]
async fn http_kinds_carry_what_their_names_say() {
    let world = world([Kind::HttpTunnel443, Kind::HttpPlain]).await;
    let [tunnels, plain] = [&world.nodes()[0], &world.nodes()[1]];
    assert!(open(tunnels, SECURE_HOST, 443).await.is_ok());
    assert!(open(tunnels, DEMO_HOST, 80).await.is_err());
    assert!(open(plain, SECURE_HOST, 443).await.is_err());
    for (node, status) in [(tunnels, "405"), (plain, "200")] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let answer = get(&mut stream, &format!("http://{DEMO_HOST}/x")).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    world.shutdown().await;
}

/// Four round trips lie between the beginning and the answer of a GET: one for TCP, two for SOCKS5, one for the GET.
#[tokio::test]
async fn a_far_server_serves_late_and_fails_as_a_near_one() {
    let round_trip = Duration::from_millis(40);
    let mut config = WorldConfig::kinds([Kind::Socks5]);
    config.upstreams[0].distance = Some(Distance::of_round_trip(round_trip));
    let world = World::start(config).await.unwrap();
    let node = &world.nodes()[0];
    let began = Instant::now();
    let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
    let answer = get(&mut stream, "/bytes/100000").await.unwrap();
    assert!(answer.ends_with(&"h".repeat(100_000)));
    assert!(began.elapsed() >= round_trip * 4, "{:?}", began.elapsed());
    let failure = async |fault| {
        world.set_fault(0, fault).await.unwrap();
        let began = Instant::now();
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(&[5, 1, 0]).await.unwrap();
        let end = stream.read_u8().await.unwrap_err().kind();
        assert!(began.elapsed() >= round_trip, "{fault:?} after {:?}", began.elapsed());
        end
    };
    assert_eq!(failure(Fault::Reset).await, io::ErrorKind::ConnectionReset);
    // Unread bytes would turn the end into a reset; they are read on the way.
    assert_eq!(failure(Fault::AcceptThenClose).await, io::ErrorKind::UnexpectedEof);
    world.set_fault(0, Fault::Refused).await.unwrap();
    assert_eq!(open(node, DEMO_HOST, 80).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    world.shutdown().await;
}

#[tokio::test]
async fn echo_keeps_half_close() {
    let world = world([Kind::Socks5]).await;
    let mut stream = open(&world.nodes()[0], ECHO_HOST, 7).await.unwrap();
    stream.write_all(b"there and back").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "there and back");
}

#[tokio::test]
async fn bytes_flow_down_and_up() {
    let world = world([Kind::Http]).await;
    let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
    let answer = get(&mut stream, "/bytes/300000").await.unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 300_000);
    let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
    let head =
        format!("POST /count HTTP/1.1\r\nHost: {DEMO_HOST}\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![1; 200_000]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("{\"bytes\":200000}"), "{answer}");
}

#[tokio::test]
async fn shadowsocks_serves_its_own_client() {
    use shadowsocks::{
        ProxyClientStream, config::ServerConfig, config::ServerType, context::Context, relay::socks5::Address,
    };
    let world = world([Kind::ShadowsocksAes128, Kind::ShadowsocksChacha20, Kind::Shadowsocks2022]).await;
    for node in world.nodes() {
        let info = node.link.strip_prefix("ss://").unwrap().split_once('@').unwrap().0;
        let pair = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(info).unwrap();
        let pair = String::from_utf8(pair).unwrap();
        let (method, password) = pair.split_once(':').unwrap();
        let server = ServerConfig::new(node.address, password, method.parse().unwrap()).unwrap();
        let stream = TcpStream::connect(node.address).await.unwrap();
        let target = Address::DomainNameAddress(DEMO_HOST.to_owned(), 80);
        let context = Context::new_shared(ServerType::Local);
        let mut stream = ProxyClientStream::from_stream(context, stream, &server, target);
        let answer = get(&mut stream, "/").await.unwrap();
        assert!(answer.contains(&node.name), "{answer}");

        let stream = TcpStream::connect(node.address).await.unwrap();
        let target = Address::DomainNameAddress(DEMO_HOST.to_owned(), 80);
        let context = Context::new_shared(ServerType::Local);
        let mut stream = ProxyClientStream::from_stream(context, stream, &server, target);
        let answer = get(&mut stream, "/bytes/3000000").await.unwrap();
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 3_000_000);
    }
}

#[tokio::test]
async fn trojan_and_vless_serve() {
    use sha2::{Digest, Sha224};
    let world = world([Kind::Trojan, Kind::Vless]).await;
    for node in world.nodes() {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let (user, _) = userinfo(node);
        let mut request = Vec::new();
        let name = [&[DEMO_HOST.len() as u8], DEMO_HOST.as_bytes()].concat();
        if node.kind == Kind::Trojan {
            request.extend(Sha224::digest(user.as_bytes()).iter().flat_map(|b| format!("{b:02x}").into_bytes()));
            request.extend([b"\r\n\x01\x03".as_slice(), &name, &[0, 80], b"\r\n"].concat());
        } else {
            request.push(0);
            request.extend(user.parse::<uuid::Uuid>().unwrap().as_bytes());
            request.extend([&[0, 1, 0, 80, 2], name.as_slice()].concat());
        }
        stream.write_all(&request).await.unwrap();
        assert!(get(&mut stream, "/").await.unwrap().contains(&node.name));
    }
}

#[tokio::test]
async fn faults_switch_while_running() {
    let world = world([Kind::Socks5Auth]).await;
    let node = &world.nodes()[0];
    let mut old = open(node, ECHO_HOST, 7).await.unwrap();

    world.set_fault(0, Fault::Refused).await.unwrap();
    assert_eq!(TcpStream::connect(node.address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let ended = timeout(PATIENCE, old.read_u8()).await.unwrap();
    assert!(ended.is_err(), "a dead server keeps no tunnel");

    for fault in [Fault::AcceptThenClose, Fault::Reset, Fault::Garbage] {
        world.set_fault(0, fault).await.unwrap();
        assert_eq!(world.fault(0).unwrap(), fault);
        assert!(timeout(PATIENCE, open(node, DEMO_HOST, 80)).await.unwrap().is_err(), "{fault:?}");
    }
    world.set_fault(0, Fault::WrongCredential).await.unwrap();
    assert_eq!(open(node, DEMO_HOST, 80).await.unwrap_err().to_string(), "reply 1");

    world.set_fault(0, Fault::Healthy).await.unwrap();
    assert!(open(node, DEMO_HOST, 80).await.is_ok());
    assert!(world.set_fault(1, Fault::Mute).await.is_err());
}

#[tokio::test]
async fn dying_and_hanging_come_after_their_bytes() {
    let world = world([Kind::Http]).await;
    let node = &world.nodes()[0];
    world.set_fault(0, Fault::DieAfter(5000)).await.unwrap();
    let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
    assert!(get(&mut stream, "/bytes/4000").await.is_ok());
    let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
    assert!(get(&mut stream, "/bytes/1000000").await.is_err());

    world.set_fault(0, Fault::HangAfter(3)).await.unwrap();
    let mut stream = open(node, DEMO_HOST, 80).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut first = [0; 3];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTT");
    assert!(timeout(Duration::from_millis(200), stream.read_u8()).await.is_err(), "silence");
}

#[tokio::test]
async fn mute_servers_accept_and_stay_silent() {
    let farm = SilentListeners::start(8).await.unwrap();
    assert_eq!(farm.links(20).count(), 20);
    for address in farm.addresses() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"anyone?").await.unwrap();
        assert!(timeout(Duration::from_millis(20), stream.read_u8()).await.is_err());
    }
    farm.shutdown().await;
}

#[tokio::test]
async fn the_demo_has_many_healthy_and_some_dead() {
    let config = WorldConfig::demo();
    let serving = config.upstreams.iter().filter(|u| u.fault.serves()).count();
    assert_eq!((config.upstreams.len(), serving), (24, 17));
    let world = World::start(config).await.unwrap();
    let again = World::start(WorldConfig::demo()).await.unwrap();
    for (a, b) in world.nodes().iter().zip(again.nodes()) {
        assert_eq!(userinfo(a), userinfo(b), "the same seed makes the same credentials");
    }
    assert_eq!(world.links().lines().count(), 24);
    world.shutdown().await;
}

/// Says something to the echo through a node that has just been told to misbehave.
async fn said(world: &World, fault: Fault) -> io::Result<Vec<u8>> {
    world.set_fault(0, fault).await.unwrap();
    let mut stream = open(&world.nodes()[0], ECHO_HOST, 7).await?;
    stream.write_all(b"anyone?").await?;
    let mut answer = Vec::new();
    let limit = if fault == Fault::Hung { Duration::from_millis(100) } else { PATIENCE };
    match timeout(limit, stream.read_to_end(&mut answer)).await {
        Ok(result) => result.map(|_| answer),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[tokio::test]
async fn servers_that_say_yes_and_do_not_mean_it() {
    let world = world([Kind::Socks5]).await;
    assert_eq!(said(&world, Fault::Hung).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(said(&world, Fault::CloseOnData).await.unwrap(), b"");
    assert_eq!(said(&world, Fault::ResetOnData).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(said(&world, Fault::CloseAfter(3)).await.unwrap(), b"any");
    let noise = said(&world, Fault::Noise).await.unwrap();
    assert!(noise.len() == 512 && noise != said(&world, Fault::Noise).await.unwrap());
}

#[tokio::test]
async fn a_server_that_flaps_is_mute_by_turns() {
    let world = world([Kind::Socks5]).await;
    world.set_fault(0, Fault::Flapping(Duration::from_millis(100))).await.unwrap();
    let (mut served, mut mute) = (false, false);
    while !(served && mute) {
        let attempt = timeout(Duration::from_millis(20), open(&world.nodes()[0], ECHO_HOST, 7)).await;
        served |= matches!(attempt, Ok(Ok(_)));
        mute |= attempt.is_err();
    }
}

#[tokio::test]
async fn a_throttled_server_delivers_all_of_it() {
    let world = world([Kind::Http]).await;
    world.set_fault(0, Fault::Throttled(100_000)).await.unwrap();
    let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
    let begun = tokio::time::Instant::now();
    let answer = get(&mut stream, "/bytes/20000").await.unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 20_000);
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn tampering_changes_bodies_and_leaves_heads() {
    let world = world([Kind::Http]).await;
    let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
    let honest = get(&mut stream, "/bytes/40").await.unwrap();
    world.set_fault(0, Fault::TamperBody).await.unwrap();
    let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
    let changed = get(&mut stream, "/bytes/40").await.unwrap();
    let (honest, changed) = (honest.split_once("\r\n\r\n").unwrap(), changed.split_once("\r\n\r\n").unwrap());
    assert_eq!(honest.0.lines().next(), changed.0.lines().next());
    assert_eq!((honest.1, changed.1), (&*"h".repeat(40), &*"H".repeat(40)));
}

#[tokio::test]
async fn tls_targets_show_their_certificate_unless_somebody_answers_for_them() {
    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer},
    };
    let world = world([Kind::Socks5]).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(world.root().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(std::sync::Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let name = || SECURE_HOST.try_into().unwrap();
    let stream = open(&world.nodes()[0], SECURE_HOST, 443).await.unwrap();
    let mut stream = connector.connect(name(), stream).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {SECURE_HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(&world.nodes()[0].name), "{answer}");
    world.set_fault(0, Fault::TamperTls).await.unwrap();
    let stream = open(&world.nodes()[0], SECURE_HOST, 443).await.unwrap();
    let refused = connector.connect(name(), stream).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_service_that_speaks_first() {
    let world = world([Kind::Socks5]).await;
    let mut stream = open(&world.nodes()[0], GREET_HOST, 25).await.unwrap();
    let mut greeting = [0; 17];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 greet.hezar\r\n");
}

#[tokio::test]
async fn the_ledger_counts_what_arrives_even_when_no_answer_does() {
    let world = world([Kind::Http]).await;
    world.set_fault(0, Fault::DieAfter(0)).await.unwrap();
    for _ in 0..2 {
        let mut stream = open(&world.nodes()[0], LEDGER_HOST, 9).await.unwrap();
        stream.write_all(b"one\n").await.unwrap();
        assert!(stream.read_u8().await.is_err());
        let mut stream = open(&world.nodes()[0], DEMO_HOST, 80).await.unwrap();
        let head = format!("POST /ledger/two HTTP/1.1\r\nHost: {DEMO_HOST}\r\nContent-Length: 4\r\n\r\nbody");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(stream.read_u8().await.is_err());
    }
    assert_eq!(world.ledger(), [("POST two".to_owned(), 2), ("one".to_owned(), 2)]);
}

#[tokio::test]
async fn a_schedule_changes_the_servers() {
    let world = world([Kind::Socks5; 8]).await;
    let schedule = FaultSchedule {
        seed: 1,
        bad: 0.5,
        dwell: Duration::from_millis(20),
        faults: vec![Fault::Refused, Fault::Hung],
    };
    let faults = || (0..8).map(|node| world.fault(node).unwrap()).collect::<Vec<_>>();
    let changed = async {
        while faults().iter().all(|fault| *fault == Fault::Healthy) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = world.follow(&schedule) => panic!("the schedule ended: {result:?}"),
        () = changed => {}
    }
    assert!(faults().iter().all(|fault| matches!(fault, Fault::Healthy | Fault::Refused | Fault::Hung)));
}

#[tokio::test]
async fn datagrams_to_the_echo_come_back() {
    let world = world([Kind::Socks5, Kind::Socks5Auth]).await;
    for node in world.nodes() {
        let (user, password) = userinfo(node);
        let mut control = TcpStream::connect(node.address).await.unwrap();
        let method = if node.kind == Kind::Socks5 { 0 } else { 2 };
        control.write_all(&[5, 1, method]).await.unwrap();
        let mut answer = vec![0; 2];
        control.read_exact(&mut answer).await.unwrap();
        if method == 2 {
            let lengths = (user.len() as u8, password.len() as u8);
            let login = [&[1, lengths.0], user.as_bytes(), &[lengths.1], password.as_bytes()].concat();
            control.write_all(&login).await.unwrap();
            control.read_exact(&mut answer).await.unwrap();
        }
        control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let mut reply = [0; 10];
        control.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..4], [5, 0, 0, 1]);
        let relay =
            (std::net::Ipv4Addr::new(reply[4], reply[5], reply[6], reply[7]), u16::from_be_bytes([reply[8], reply[9]]));
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let packet = |host: &str, port: u16, payload: &[u8]| {
            [&[0, 0, 0, 3, host.len() as u8], host.as_bytes(), &port.to_be_bytes(), payload].concat()
        };
        // Whatever is not the echo is lost; what comes back is therefore the answer to the last one.
        socket.send_to(b"?", relay).await.unwrap();
        socket.send_to(&packet(DEMO_HOST, 80, b"no"), relay).await.unwrap();
        socket.send_to(&packet("example.org", 7, b"no"), relay).await.unwrap();
        socket.send_to(&packet(ECHO_HOST, 7, b"echo"), relay).await.unwrap();
        let mut buffer = [0; 100];
        let (length, _) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer[..length], packet(ECHO_HOST, 7, b"echo"));
    }
    world.shutdown().await;
}
