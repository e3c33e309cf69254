//! The opening of a tunnel over nodes that follow a script, in paused time.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target, Timestamp};
use hezar_engine::{Attempt, BoxStream, Cause, Clock, DialError, Dialer, NativeEngine, NativeEngineConfig};
use hezar_pool::{Origin, Outcome, Pool, PoolChange, Rules, State, Strategy};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::tunnel;
use crate::{
    GatewayConfig, Metrics, Sessions,
    access::Identity,
    context::{Context, Services},
    failover::{Explanation, Failover},
    replay::samples::{GET, OK, POST, SERVER_HELLO, hello, openssl},
    telemetry::{AccessLogEntry, InboundKind},
};

/// What a node does, one after the other; then it closes.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Waits until it has been told so many bytes in all.
    Hear(usize),
    Say(&'static [u8]),
    Pause(u64),
    /// Listens for ever.
    Mute,
    /// Sends back what it is told.
    Echo,
}
use Act::{Echo, Hear, Mute, Pause, Say};

/// Waits for all of it.
const HEAR_GET: Act = Hear(GET.len());
const HEAR_POST: Act = Hear(POST.len());

/// A node and what it was told, connection by connection.
#[derive(Debug)]
struct Actor {
    acts: &'static [Act],
    told: Arc<Mutex<Vec<Vec<u8>>>>,
}

#[async_trait]
impl Dialer for Actor {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        if self.acts.is_empty() {
            return Err(DialError::new(Stage::Connect, Cause::Refused));
        }
        let (near, far) = duplex(64 * 1024);
        let number = self.told.lock().len();
        self.told.lock().push(Vec::new());
        tokio::spawn(act(self.acts, far, self.told.clone(), number));
        Ok(Box::new(near))
    }
}

async fn act(acts: &'static [Act], mut far: DuplexStream, told: Arc<Mutex<Vec<Vec<u8>>>>, number: usize) {
    let mut buffer = [0; 4096];
    for act in acts {
        match act {
            Hear(length) => {
                while told.lock()[number].len() < *length {
                    match far.read(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => told.lock()[number].extend_from_slice(&buffer[..read]),
                    }
                }
            }
            Say(bytes) => drop(far.write_all(bytes).await),
            Pause(milliseconds) => sleep(Duration::from_millis(*milliseconds)).await,
            Mute | Echo => loop {
                match far.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => {
                        told.lock()[number].extend_from_slice(&buffer[..read]);
                        if matches!(act, Echo) {
                            far.write_all(&buffer[..read]).await.unwrap();
                        }
                    }
                }
            },
        }
    }
}

/// A client at its tunnel.
struct Table {
    client: DuplexStream,
    context: Arc<Context>,
    ids: Vec<NodeId>,
    told: Vec<Arc<Mutex<Vec<Vec<u8>>>>>,
    running: JoinHandle<()>,
}

fn config() -> GatewayConfig {
    GatewayConfig { strategy: Strategy::RoundRobin, hedge_percent: 0, ..GatewayConfig::default() }
}

/// A tunnel over these nodes; the first one that can be dialled is connected.
async fn sit(config: GatewayConfig, scripts: &[&'static [Act]]) -> Table {
    let (pool, clock) = (Arc::new(Pool::new(Rules::default())), Clock::start());
    let specs: Vec<_> = (0..scripts.len()).map(|n| spec(&format!("192.0.2.{}:1080", n + 1))).collect();
    let nodes = specs.iter().cloned().map(|spec| (spec, Label::default())).collect();
    pool.apply(PoolChange::List { source: "test".into(), allow_private: false, nodes, complete: true }, clock.now());
    let mut told = Vec::new();
    for (number, (spec, acts)) in specs.iter().zip(scripts).enumerate() {
        let actor = Actor { acts, told: Arc::default() };
        told.push(actor.told.clone());
        let payload: Arc<dyn Dialer> = Arc::new(actor);
        pool.node(spec.id()).unwrap().payload(|_| Ok::<_, Infallible>(payload)).unwrap();
        // Each was proven before the one in front of it, so that they are asked in their order.
        let proven = Timestamp(clock.now().0 - 1000 * number as u64);
        pool.report(spec.id(), &Outcome::success(Origin::Probe, Duration::from_millis(5)), proven);
    }
    let services = Services {
        tracer: crate::RequestTracer::default(),
        pool,
        engine: Arc::new(NativeEngine::new(&NativeEngineConfig::default())),
        clock,
        metrics: Metrics::default(),
        sessions: Arc::new(Sessions::new(10)),
        shared_sessions: None,
        groups: Arc::default(),
        explanation: Explanation::default(),
        connections: Arc::default(),
        usage: Arc::default(),
        access_log: Arc::default(),
        passwords: Arc::default(),
        accepting: watch::Sender::default(),
    };
    let context = Context::new(config, &services, CancellationToken::new()).unwrap();
    let (client, far) = duplex(64 * 1024);
    let target = Target::parse("example.com:443").unwrap();
    let mut failover =
        Box::new(Failover::new(&context.selection, &Identity::default(), [127, 0, 0, 1].into(), &target));
    let connected = failover.connect_next().await.unwrap();
    let mut log_entry = AccessLogEntry::new(&context.telemetry, InboundKind::Socks5, ([127, 0, 0, 1], 1).into());
    log_entry.begin(&Identity::default(), Some(&target));
    let owned = context.clone();
    let running = tokio::spawn(async move { tunnel(&owned, far, failover, connected, log_entry).await });
    Table { client, context, ids: specs.iter().map(NodeSpec::id).collect(), told, running }
}

fn spec(server: &str) -> NodeSpec {
    let proxy = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    NodeSpec::new(Target::parse(server).unwrap(), Outbound::Socks(proxy))
}

impl Table {
    async fn say(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    async fn expect(&mut self, wanted: &[u8]) {
        let mut heard = vec![0; wanted.len()];
        let read = timeout(Duration::from_secs(3600), self.client.read_exact(&mut heard)).await;
        read.expect("an answer in time").unwrap();
        assert_eq!(heard, wanted);
    }

    /// Nothing more comes.
    async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(3600), self.client.read_to_end(&mut rest)).await.expect("an end in time").unwrap();
        assert_eq!(rest, b"");
    }

    /// What a node was told, over all connections; nothing when it was never connected.
    fn told(&self, node: usize) -> Vec<Vec<u8>> {
        self.told[node].lock().clone()
    }

    fn state(&self, node: usize) -> State {
        self.context.selection.pool.node(self.ids[node]).unwrap().state()
    }
}

/// The ways in which a node loses a flight that it has taken.
const LOSING: [&[Act]; 6] = [
    &[Hear(1)],
    &[Mute],
    &[Hear(1), Say(b"\x8a nonsense")],
    &[Hear(1), Say(b"\x16\x03\x03")],
    &[Hear(1), Say(b"HTTP/1.1 200 O")],
    &[Hear(1), Say(b"H"), Mute],
];

/// Beyond the head of an answer, while all of it is small.
const MIDWAY: [&[Act]; 2] = [
    &[Hear(1), Say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")],
    &[Hear(1), Say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Mute],
];

#[tokio::test(start_paused = true)]
async fn a_client_hello_is_repeated_until_an_answer_has_begun() {
    for losing in LOSING {
        let mut table = sit(config(), &[losing, &[Hear(1)], &[Hear(182), Say(SERVER_HELLO), Echo]]).await;
        table.say(&openssl()).await;
        table.expect(SERVER_HELLO).await;
        table.say(b"finished").await;
        table.expect(b"finished").await;
        for node in 0..3 {
            let told = table.told(node);
            assert_eq!(told.len(), 1, "{losing:?}");
            assert!(told[0].starts_with(&openssl()) || openssl().starts_with(&told[0]), "{losing:?}");
        }
        assert_eq!(table.told(2), [[&openssl()[..], b"finished"].concat()]);
        assert_eq!([0, 1, 2].map(|n| table.state(n)), [State::Suspect, State::Suspect, State::Healthy], "{losing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_get_in_clear_is_repeated_until_its_head_is_there() {
    for losing in LOSING.into_iter().chain(MIDWAY) {
        let mut table = sit(config(), &[losing, &[HEAR_GET, Say(OK), Echo]]).await;
        table.say(GET).await;
        table.expect(OK).await;
        assert_eq!(table.told(1), [GET]);
        assert_eq!(table.state(0), State::Suspect, "{losing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_costs_no_more_than_its_measure() {
    let mut table = sit(config(), &[&[Mute], &[Hear(182), Say(SERVER_HELLO), Echo]]).await;
    let begun = Instant::now();
    table.say(&openssl()).await;
    table.expect(SERVER_HELLO).await;
    assert!(
        (Duration::from_millis(250)..Duration::from_millis(300)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_after_a_byte_of_the_answer() {
    for acts in [&[Hear(182), Say(SERVER_HELLO)][..], &[Hear(182), Say(b"\x15\x03\x03\x00\x02\x02\x50")]] {
        let mut table = sit(config(), &[acts, &[Mute]]).await;
        table.say(&openssl()).await;
        let Say(answer) = acts[1] else { unreachable!() };
        table.expect(answer).await;
        table.expect_end().await;
        assert!(table.told(1).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_act_twice_is_sent_once() {
    for bytes in [POST, b"SSH-2.0-x\r\n", b"\x00\x01", b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"] {
        let mut table = sit(config(), &[&[Hear(1)], &[Mute]]).await;
        table.say(bytes).await;
        table.expect_end().await;
        assert!(table.told(1).is_empty(), "{}", String::from_utf8_lossy(bytes));
        assert_eq!(table.state(0), State::Healthy, "perhaps it was the target that closed");
        // Silence is waited for, however long.
        let mut table = sit(config(), &[&[Hear(1), Pause(300_000), Say(b"done")], &[Mute]]).await;
        table.say(bytes).await;
        table.expect(b"done").await;
        assert!(table.told(1).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn unless_the_listener_allows_it() {
    let config = || GatewayConfig { repeat_unsafe: true, ..config() };
    let (head, body) = POST.split_at(POST.len() - 2);
    for losing in [&[HEAR_POST][..], &[HEAR_POST, Mute]] {
        let mut table = sit(config(), &[losing, &[HEAR_POST, Say(OK), Echo]]).await;
        table.say(head).await;
        // The flight grows while the first node has it.
        sleep(Duration::from_millis(500)).await;
        table.say(body).await;
        table.expect(OK).await;
        assert_eq!((table.told(0), table.told(1)), (vec![POST.to_vec()], vec![POST.to_vec()]));
    }
    // More than is held: it goes on with the node that has the beginning.
    let mut table = sit(config(), &[&[Hear(100_010), Say(b"done")], &[Mute]]).await;
    table.say(b"0123456789").await;
    sleep(Duration::from_millis(1)).await;
    table.say(&vec![7; 100_000]).await;
    table.expect(b"done").await;
    assert!(table.told(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_may_speak_first() {
    let mut table = sit(config(), &[&[Pause(70_000), Say(b"220 hello\r\n"), Hear(6), Say(b"250\r\n")], &[Mute]]).await;
    table.expect(b"220 hello\r\n").await;
    table.say(b"HELO\r\n").await;
    table.expect(b"250\r\n").await;
    table.expect_end().await;
    assert_eq!((table.told(0), table.told(1)), (vec![b"HELO\r\n".to_vec()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn both_may_speak_at_once() {
    let mut table = sit(config(), &[&[Say(b"SSH-2.0-server\r\n"), Echo]]).await;
    table.say(b"SSH-2.0-client\r\n").await;
    table.expect(b"SSH-2.0-server\r\nSSH-2.0-client\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_closes_before_a_word_was_said_is_replaced() {
    for bytes in [POST, &openssl()[..], b"\x00\x01"] {
        let mut table = sit(config(), &[&[Pause(1_000)], &[Pause(1)], &[], &[Echo]]).await;
        sleep(Duration::from_secs(2)).await;
        table.say(bytes).await;
        if bytes[0] == 22 {
            // An echo is no TLS server, and no other node is left.
            table.expect_end().await;
        } else {
            table.expect(bytes).await;
        }
        assert_eq!((table.told(0), table.told(3)), (vec![vec![]], vec![bytes.to_vec()]));
    }
}

#[tokio::test(start_paused = true)]
async fn early_data_waits_for_the_answer_and_goes_to_one_node() {
    let hello = hello(&[42], 0);
    let mut table = sit(config(), &[&[Mute], &[Hear(1), Pause(100), Say(SERVER_HELLO), Echo]]).await;
    table.say(&[&hello[..], b"\x17early"].concat()).await;
    sleep(Duration::from_secs(1)).await;
    table.say(b" and more").await;
    table.expect(SERVER_HELLO).await;
    table.expect(b"\x17early and more").await;
    assert_eq!(table.told(0), std::slice::from_ref(&hello));
    assert_eq!(table.told(1), [[&hello[..], b"\x17early and more"].concat()]);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_belong_behind_a_hello_end_the_repeating() {
    let mut table = sit(config(), &[&[Hear(182 + 4), Pause(60_000), Say(b"fine")], &[Mute]]).await;
    table.say(&openssl()).await;
    sleep(Duration::from_millis(100)).await;
    table.say(b"what").await;
    table.expect(b"fine").await;
    table.expect_end().await;
    assert_eq!((table.told(0), table.told(1)), (vec![[&openssl()[..], b"what"].concat()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_next_request_waits_for_the_answer_to_the_first() {
    let mut table = sit(config(), &[&[Hear(1)], &[HEAR_GET, Pause(10), Say(OK), Echo]]).await;
    table.say(&[GET, POST].concat()).await;
    table.expect(OK).await;
    table.expect(POST).await;
    assert_eq!(table.told(1), [[GET, POST].concat()]);
    assert!(GET.starts_with(&table.told(0)[0]), "the POST went to one node only");
}

#[tokio::test(start_paused = true)]
async fn a_flight_in_pieces_goes_out_as_a_whole() {
    let mut table = sit(config(), &[&[Hear(1)], &[Hear(182), Say(SERVER_HELLO), Echo]]).await;
    for byte in openssl() {
        table.say(&[byte]).await;
        sleep(Duration::from_millis(1)).await;
    }
    table.expect(SERVER_HELLO).await;
    assert_eq!(table.told(1), [openssl()]);
}

#[tokio::test(start_paused = true)]
async fn the_beginning_of_a_flight_is_not_held_for_ever() {
    let mut table = sit(config(), &[&[Echo], &[Mute]]).await;
    table.say(b"GET /").await;
    table.expect(b"GET /").await;
    table.say(b" never mind").await;
    table.expect(b" never mind").await;
    assert!(table.told(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn half_closes_are_kept() {
    for bytes in [GET, b"GET /", b"anything", b""] {
        let mut table = sit(config(), &[&[Echo]]).await;
        let expected = if bytes == GET { &b""[..] } else { bytes };
        table.say(bytes).await;
        table.client.shutdown().await.unwrap();
        table.expect(expected).await;
        table.expect_end().await;
        assert_eq!(table.told(0), [bytes]);
    }
    let mut table = sit(config(), &[&[Hear(1)], &[HEAR_GET, Pause(100), Say(OK)]]).await;
    table.say(GET).await;
    table.client.shutdown().await.unwrap();
    table.expect(OK).await;
    table.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_it() {
    for bytes in [&openssl()[..], b"\x16", POST, b""] {
        let mut table = sit(config(), &[&[Mute], &[Mute]]).await;
        table.say(bytes).await;
        sleep(Duration::from_millis(10)).await;
        drop(table.client);
        timeout(Duration::from_secs(100), table.running).await.expect("the tunnel ends").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_hedged_within_the_budget() {
    for (hedge_percent, wait) in [(100, 40), (0, 250)] {
        let config = GatewayConfig { hedge_percent, ..config() };
        let mut table = sit(config, &[&[Mute], &[Hear(182), Say(SERVER_HELLO), Echo]]).await;
        let begun = Instant::now();
        table.say(&openssl()).await;
        table.expect(SERVER_HELLO).await;
        let wait = Duration::from_millis(wait);
        assert!((wait..wait + Duration::from_millis(20)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        // Late is not failed.
        assert_eq!(table.state(0), if hedge_percent == 0 { State::Suspect } else { State::Healthy });
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_still_wins_when_the_others_have_none() {
    let slow: &[Act] = &[Hear(182), Pause(20_000), Say(SERVER_HELLO), Echo];
    let mut table = sit(config(), &[slow, &[Mute], &[Hear(1)], &[Mute]]).await;
    table.say(&openssl()).await;
    table.expect(SERVER_HELLO).await;
    assert_eq!(table.state(0), State::Healthy);
    assert_eq!(table.told(3).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_outlives_the_deadline_when_its_target_takes_longer() {
    let mut table = sit(config(), &[&[HEAR_GET, Pause(120_000), Say(OK)], &[Mute]]).await;
    table.say(GET).await;
    table.expect(OK).await;
    table.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_two_nodes_give_is_the_targets() {
    let plain: &[Act] = &[Hear(182), Say(b"HTTP/1.1 400 Bad Request\r\n\r\n")];
    let mut table = sit(config(), &[plain, plain, &[Mute]]).await;
    table.say(&openssl()).await;
    table.expect(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    table.expect_end().await;
    assert!(table.told(2).is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_no_node_answers_the_tunnel_ends_and_nobody_is_blamed() {
    let mut table = sit(config(), &[&[Hear(1)], &[Hear(1), Say(b"x")], &[Hear(1)]]).await;
    table.say(&openssl()).await;
    table.expect_end().await;
    assert_eq!([0, 1, 2].map(|node| table.told(node).len()), [1, 1, 1]);
    assert_eq!([0, 1, 2].map(|node| table.state(node)), [State::Healthy; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_in_which_nobody_speaks_ends_by_its_idle_time() {
    let mut table = sit(config(), &[&[Mute]]).await;
    let begun = Instant::now();
    table.expect_end().await;
    assert!(begun.elapsed() >= config().idle_timeout);
    let _: () = tokio::select! { () = pending() => {}, _ = table.running => {} };
}
