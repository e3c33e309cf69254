//! Clients that mean harm: what they cost, and that the others are served meanwhile.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::Timestamp;
use hezar_gateway::{GatewayConfig, Limits, User};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world},
};

/// Long enough that nothing ends by itself while a test runs.
const LONG: Duration = Duration::from_secs(600);

fn guarded() -> GatewayConfig {
    let user = |name: &str| User::new(name, "right");
    GatewayConfig { users: vec![user("alice"), user("bob")], setup_timeout: LONG, keep_alive: LONG, ..config() }
}

fn get(login: Option<&str>) -> String {
    let login = login.map(|login| format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(login)));
    format!("GET http://origin.test/who HTTP/1.1\r\nHost: origin.test\r\n{}\r\n", login.unwrap_or_default())
}

/// A client with a password is served.
async fn good_client(world: &World) {
    let mut stream = connect(world).await;
    let answer = ask(&mut stream, get(Some("bob:right")).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// What the gateway says until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn strangers_hold_no_place_against_others() {
    let world = world(GatewayConfig { max_connections: 50, ..guarded() }, &[Does::Web]).await;
    good_client(&world).await;
    let mut strangers = Vec::new();
    // Silent, after a 407, and with a flood of requests whose answers they never read.
    for kind in 0..3 {
        for _ in 0..60 {
            let mut stream = connect(&world).await;
            let said = match kind {
                0 => String::new(),
                1 => get(None),
                _ => get(None).repeat(1000),
            };
            let _ = stream.write_all(said.as_bytes()).await;
            strangers.push(stream);
        }
        for _ in 0..10 {
            good_client(&world).await;
        }
    }
    let text = world.metrics();
    let open = text.lines().find_map(|line| line.strip_prefix("hezar_connections{listener=\"proxy\"} ")).unwrap();
    assert!(open.parse::<u32>().unwrap() <= 60, "{open}");
    for stranger in &mut strangers[60..120] {
        let answer = rest(stranger).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 407 "), "{answer}");
    }
}

#[tokio::test]
async fn a_stranger_gets_one_answer_and_a_known_client_keeps_its_connection() {
    let world = world(guarded(), &[Does::Web]).await;
    for (login, status) in [(None, "407"), (Some("alice:wrong"), "40"), (Some("alice-contry-de:right"), "400")] {
        let mut stream = connect(&world).await;
        stream.write_all(get(login).repeat(100).as_bytes()).await.unwrap();
        let answers = rest(&mut stream).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(answers.starts_with(&format!("HTTP/1.1 {status}")), "{answers}");
        assert!(answers.to_ascii_lowercase().contains("connection: close"), "{answers}");
    }
    let mut stream = connect(&world).await;
    for _ in 0..2 {
        let answer = ask(&mut stream, get(Some("alice:right")).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stream.read_exact(&mut [0; 6]).await.unwrap();
    }
}

#[tokio::test]
async fn guessing_passwords_is_slow_and_delays_nobody_who_knows_one() {
    let world = world(guarded(), &[Does::Web]).await;
    good_client(&world).await;
    let begun = Instant::now();
    let request = by_name("example.com", 80);
    for number in 0..14 {
        if number % 2 == 0 {
            assert_eq!(socks5(&world, Some(("alice", "wrong")), &request).await.1, None);
        } else {
            let answer = rest_of(&world, get(Some("alice:wrong"))).await;
            assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
        }
    }
    // The eleventh waits for 100 ms, and every further one for twice as long.
    assert!(begun.elapsed() >= Duration::from_millis(100 + 200 + 400 + 800), "{:?}", begun.elapsed());
    let guesses: Vec<_> = (0..100).map(|_| rest_of(&world, get(Some("alice:wrong")))).collect();
    let attack = futures_util::future::join_all(guesses);
    let before =
        |text: String| text.lines().filter(|line| line.contains("auth-wrong")).map(str::to_owned).collect::<Vec<_>>();
    let (answers, ()) = tokio::join!(attack, async {
        for _ in 0..20 {
            good_client(&world).await;
        }
        let wrong = before(world.metrics());
        assert!(wrong.iter().any(|line| line.contains("code=\"auth-wrong\"")), "{wrong:?}");
    });
    let turned_away = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429 ")).count();
    assert!(turned_away >= 30, "only so many wait at a time: {turned_away}");
    assert!(answers.iter().all(|answer| !answer.starts_with("HTTP/1.1 200 ")));
}

async fn rest_of(world: &World, said: String) -> String {
    let mut stream = connect(world).await;
    stream.write_all(said.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

#[tokio::test]
async fn the_rate_of_a_client_is_charged_before_its_password_is_looked_at() {
    let client_limits = Limits { requests: Some(5), ..Limits::default() };
    let world = world(GatewayConfig { client_limits, ..guarded() }, &[Does::Web]).await;
    let all = futures_util::future::join_all((0..60).map(|_| rest_of(&world, get(Some("alice:wrong"))))).await;
    let looked_at = all.iter().filter(|answer| !answer.contains("client-limit")).count();
    assert!((5..30).contains(&looked_at), "{looked_at}");
    let request = by_name("example.com", 80);
    let socks =
        futures_util::future::join_all((0..40).map(|_| socks5(&world, Some(("alice", "right")), &request))).await;
    assert!(socks.iter().any(|(_, reply)| reply.is_none()), "over SOCKS too");
}

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_flood_of_strangers_writes_a_few_lines_that_say_who_it_was() {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(lines.clone());
    let filter = tracing_subscriber::filter::LevelFilter::INFO;
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer).with(filter));
    let world = world(guarded(), &[Does::Web]).await;
    for _ in 0..200 {
        rest_of(&world, get(None)).await;
    }
    for _ in 0..3 {
        rest_of(&world, get(Some("mallory\\u{1b}[31m:x"))).await;
    }
    rest_of(&world, get(Some("x\nWARN FORGED:right"))).await;
    world.drain.cancel();
    eventually("the gateway is drained", || lines.text().contains("left out")).await;
    let text = lines.text();
    assert!(text.lines().count() < 40, "{text}");
    let missing: Vec<_> = text.lines().filter(|line| line.contains("auth-missing")).collect();
    assert_eq!(missing.iter().filter(|line| line.contains("client=127.0.0.1")).count(), 10, "{text}");
    assert!(missing.iter().any(|line| line.contains("left_out=190")), "{text}");
    let failed: Vec<_> = text.lines().filter(|line| line.contains("login failed client=127.0.0.1 user=")).collect();
    assert_eq!(failed.len(), 3, "{text}");
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("WARN")), "{text}");
}

#[tokio::test]
async fn a_line_of_json_says_who_went_where() {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(lines.clone());
    let filter = tracing_subscriber::filter::LevelFilter::DEBUG;
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer).with(filter));
    let world = world(guarded(), &[Does::Web]).await;
    rest_of(&world, get(Some("alice-session-s1:right")).replace("Host:", "Connection: close\r\nHost:")).await;
    eventually("the line is there", || lines.text().contains("origin.test")).await;
    let text = lines.text();
    let line = text.lines().find(|line| line.contains("origin.test") && line.contains("alice")).unwrap();
    let read: serde_json::Value = serde_json::from_str(line).unwrap();
    let session = world.sessions.list(Timestamp(0))[0].id();
    assert_eq!(read["client"], "127.0.0.1");
    assert_eq!(read["destination"], "origin.test:80");
    assert_eq!(read["session"], session.to_string());
    assert_eq!(read["user"], "\"alice\"");
    for line in text.lines() {
        assert_eq!(line.matches("\"target\":").count(), 1, "{line}");
    }
}

#[tokio::test]
async fn one_user_does_not_drive_out_the_sessions_of_others() {
    let world =
        world(GatewayConfig { max_sessions: 1000, max_sessions_per_user: 20, ..guarded() }, &[Does::Web; 4]).await;
    let who = async |name: &str| {
        let mut stream = connect(&world).await;
        let answer = ask(&mut stream, get(Some(&format!("{name}:right"))).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut body = [0; 6];
        stream.read_exact(&mut body).await.unwrap();
        body
    };
    let exit = who("bob-session-mine").await;
    for number in 0..300 {
        who(&format!("alice-session-a{number}")).await;
    }
    let sessions = world.sessions.list(Timestamp(0));
    assert_eq!(sessions.iter().filter(|session| &*session.user == "alice").count(), 20);
    assert_eq!(who("bob-session-mine").await, exit);
}

#[tokio::test]
async fn bytes_count_while_they_flow() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, &[7; 100_000]).await;
    eventually("an open tunnel has its bytes counted", || {
        let text = world.metrics();
        text.contains("hezar_bytes_total{direction=\"up\",listener=\"proxy\"} 100000")
            && text.contains("hezar_bytes_total{direction=\"down\",listener=\"proxy\"} 100000")
    })
    .await;
    ping(&mut stream, b"on").await;
    drop(stream);
    eventually("nothing is counted twice", || {
        let text = world.metrics();
        text.contains("hezar_tunnels{listener=\"proxy\"} 0")
            && text.contains("hezar_bytes_total{direction=\"up\",listener=\"proxy\"} 100002")
    })
    .await;
}
