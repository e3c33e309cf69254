//! Answers name their exit when the listener says so, and answers by which a site refuses an exit send the request elsewhere.

use std::time::Duration;

use hezar_core::{
    Timestamp,
    settings::{Given, SettingValue},
};
use hezar_gateway::{BodyPattern, FeedbackRule, GatewayConfig, PortRange, StatusSet};
use hezar_pool::{Exit, Origin, Outcome, Strategy, Success};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world},
};

const FORBIDDEN: Does = Does::Says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
const CAPTCHA: Does = Does::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n<h1>Solve a CAPTCHA!</h1>");

fn rule(status: Option<i64>, body: Option<&str>) -> FeedbackRule {
    FeedbackRule {
        status: status.and_then(|status| StatusSet::parse(&Given::Integer(status), &())),
        body: body.and_then(|text| BodyPattern::parse(&Given::Text(text.to_owned()), &())),
        ..FeedbackRule::default()
    }
}

/// A world whose nodes come out at addresses of their own.
async fn exits(config: GatewayConfig, nodes: &[Does]) -> World {
    let world = world(config, nodes).await;
    for (number, id) in world.ids.iter().enumerate() {
        let exit = Some(Exit { ip: [198, 51, number as u8, 1].into(), country: None });
        let success = Success { latency: Duration::from_millis(50), exit };
        world.pool.report(*id, &Outcome { origin: Origin::Probe, result: Ok(success) }, Timestamp(2));
    }
    world
}

async fn get(world: &World, method: &str) -> (u16, String) {
    let mut client = http(world).await;
    let (status, _, body) =
        whole(client.send_request(request(method, "http://shop.test/who", "")).await.unwrap()).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_site_that_refuses_an_exit_is_asked_through_another_one() {
    for (refusing, rule) in [(FORBIDDEN, rule(Some(403), None)), (CAPTCHA, rule(Some(200), Some("(?i)captcha")))] {
        let config = GatewayConfig { feedback: vec![rule], strategy: Strategy::LeastLatency, ..config() };
        let world = exits(config, &[refusing, Does::Web, refusing]).await;
        for _ in 0..6 {
            assert_eq!(get(&world, "GET").await, (200, "node-1".to_owned()));
        }
        assert!(world.connects()[0] <= 1 && world.connects()[2] <= 1, "each is asked once: {:?}", world.connects());
        let bans = world.pool.exit_bans(Timestamp(0));
        assert!(!bans.is_empty() && bans.iter().all(|ban| &*ban.site == "shop.test"), "{bans:?}");
        assert!(bans.iter().all(|ban| ban.until.since(ban.since) == Duration::from_secs(3600)));
    }
}

#[tokio::test]
async fn the_refusal_itself_is_passed_on_when_nothing_better_comes() {
    let config = GatewayConfig { feedback: vec![rule(Some(403), None)], ..config() };
    let world = exits(config.clone(), &[FORBIDDEN, FORBIDDEN]).await;
    assert_eq!(get(&world, "GET").await, (403, "no".to_owned()));
    assert_eq!(world.connects(), [1, 1]);
    // What may act twice is not repeated; the exit is banned all the same.
    let world = exits(config, &[FORBIDDEN, FORBIDDEN]).await;
    assert_eq!(get(&world, "POST").await, (403, "no".to_owned()));
    assert_eq!(world.connects().iter().sum::<usize>(), 1);
    assert_eq!(world.pool.exit_bans(Timestamp(0)).len(), 1);
}

#[tokio::test]
async fn a_body_that_is_looked_at_arrives_whole() {
    const LONG: usize = 300_000;
    let config = GatewayConfig { feedback: vec![rule(None, Some("never there"))], ..config() };
    let world = exits(config, &[Does::Web]).await;
    let mut client = http(&world).await;
    let answer = client.send_request(request("POST", "http://shop.test/echo", vec![b'x'; LONG])).await.unwrap();
    let (status, _, body) = whole(answer).await;
    assert_eq!((status, body.len()), (200, LONG));
    assert!(body.iter().all(|byte| *byte == b'x'));
    assert!(world.pool.exit_bans(Timestamp(0)).is_empty());
}

#[tokio::test]
async fn answers_name_their_exit_when_the_listener_says_so() {
    const LIES: Does =
        Does::Says(b"HTTP/1.1 200 OK\r\nX-Hezar-Exit: 9.9.9.9\r\nX-Hezar-Session: x\r\nContent-Length: 0\r\n\r\n");
    let on = GatewayConfig { exit_headers: true, ..config() };
    for (config, named) in [(on, true), (config(), false)] {
        let world = exits(config, &[LIES]).await;
        let mut client = http(&world).await;
        let answer = client.send_request(request("GET", "http://shop.test/", "")).await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("x-hezar-exit"), named.then(|| "198.51.0.1".to_owned()), "never what the site says");
        assert_eq!(header("x-hezar-node"), named.then(|| world.ids[0].to_string()));
        assert_eq!(header("x-hezar-session"), None);
        let mut stream = connect(&world).await;
        let asks =
            "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nProxy-Authorization: Basic eC1zZXNzaW9uLWExOg==\r\n\r\n";
        let head = ask(&mut stream, asks.as_bytes()).await.to_ascii_lowercase();
        assert_eq!(head.contains("x-hezar-session: "), named, "{head}");
    }
}

/// Four sockets on ports that follow each other.
async fn neighbours() -> Vec<TcpListener> {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut sockets = vec![first];
        for next in (1..4).filter_map(|distance| port.checked_add(distance)) {
            sockets.extend(TcpListener::bind(("127.0.0.1", next)).await);
        }
        if sockets.len() == 4 {
            return sockets;
        }
    }
}

#[tokio::test]
async fn each_port_is_a_session() {
    let world = world(config(), &[Does::Web; 8]).await;
    let sockets = neighbours().await;
    let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    eventually("the listener is open", || !world.gateway.listeners().is_empty()).await;
    for socket in sockets {
        tokio::spawn(world.gateway.open_port("proxy", socket).unwrap());
    }
    let range = Given::Text(format!("{}-{}", ports[0].port(), ports[3].port()));
    let range = PortRange::parse(&range, &()).unwrap();
    world.gateway.configure(GatewayConfig { ports: Some(range), ..config() }).unwrap();
    let who = async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET http://a.test/who HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.rsplit("\r\n").next().unwrap().to_owned()
    };
    let mut firsts = std::collections::HashSet::new();
    for address in &ports {
        let first = who(*address).await;
        for _ in 0..5 {
            assert_eq!(who(*address).await, first);
        }
        firsts.insert(first);
    }
    assert_eq!(firsts.len(), 4, "round-robin gives each of them another node");
    assert_eq!(world.gateway.ports("proxy").len(), 4);
    world.gateway.close_ports("proxy", |port| port == ports[0].port());
    eventually("the others are closed", || world.gateway.ports("proxy").len() == 1).await;
    for closed in &ports[1..] {
        while TcpStream::connect(closed).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    assert!(!who(ports[0]).await.is_empty());
}
