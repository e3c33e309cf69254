//! How requests fare over far nodes that turn bad and good, in time that does not pass: the real gateway, pool and prober over
//! fake nodes. It is the quick form of `chaos --distance`; the figures are printed:
//! `HEZAR_FAR_SECONDS=300 cargo test -p hezar-bench --test outcome far -- --nocapture`.

mod nodes;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_core::{Label, Stage, Target, Timestamp};
use hezar_engine::{Attempt, Cause, Clock, DialError, Dialer};
use hezar_gateway::{Gateway, GatewayConfig, Metrics};
use hezar_lab::{Distances, FaultSchedule};
use hezar_pool::{Pool, PoolChange, Rules};
use hezar_probe::{Check, Checks, ProbeConfig, ProbeMetrics, Prober};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs};
use tokio_util::sync::CancellationToken;

use nodes::{Nodes, PROBE_HOST, SERVER_HELLO};

const NODES: usize = 60;
const CLIENTS: u64 = 48;
const START: Timestamp = Timestamp(1_700_000_000_000);
/// The first probes are over by then, and what the gateway learns of waits has begun.
const SETTLE: Duration = Duration::from_secs(12);
/// What a client is willing to wait.
const LIMIT: Duration = Duration::from_secs(20);

/// What came of one run.
struct Figures {
    /// How long each request took that was answered, in order.
    took: Vec<Duration>,
    lost: usize,
    /// Dials for each request.
    attempts: f64,
    /// Probes per node and minute.
    probes: f64,
}

impl Figures {
    /// The time that this share of the requests did not exceed, in ms.
    fn percentile(&self, share: f64) -> f64 {
        let place = ((self.took.len() - 1) as f64 * share) as usize;
        self.took[place].as_secs_f64() * 1e3
    }

    /// The share of requests that were not answered.
    fn lost_share(&self) -> f64 {
        self.lost as f64 / (self.took.len() + self.lost).max(1) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| self.percentile(share));
        write!(
            f,
            "{} answered, {} lost, p50 {p50:.0} p90 {p90:.0} p99 {p99:.0} max {max:.0} ms, {:.3} attempts, {:.2} probes",
            self.took.len(),
            self.lost,
            self.attempts,
            self.probes
        )
    }
}

/// A probe: a round trip to the target, as that of a small page.
#[derive(Debug)]
struct RoundTrip;

#[async_trait]
impl Check for RoundTrip {
    async fn check(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<(), DialError> {
        let mut stream = via.connect(&Target::parse(&format!("{PROBE_HOST}:80")).unwrap(), attempt).await?;
        let exchange = async {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.map_err(Cause::Io)?;
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).await.map_err(|_| Cause::Closed)?;
            if answer == *b"HTTP/1.1" { Ok(()) } else { Err(Cause::Protocol("noise")) }
        };
        attempt.stage(Stage::Exchange, exchange).await
    }
}

/// What a client asks for.
#[derive(Clone, Copy)]
enum Shape {
    Http,
    Tunnel,
    Tls,
}

/// The requests of one client, one after the other. `hello` is a ClientHello.
async fn ask(proxy: SocketAddr, shape: Shape, hello: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(proxy).await?;
    match shape {
        Shape::Http => stream.write_all(b"GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n").await?,
        Shape::Tunnel => {
            connect(&mut stream, "site.test:80").await?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n").await?;
        }
        Shape::Tls => {
            connect(&mut stream, "site.test:443").await?;
            stream.write_all(hello).await?;
            let mut answer = SERVER_HELLO;
            stream.read_exact(&mut answer).await?;
            stream.write_all(&[0x17, 3, 3, 0, 1, 0]).await?;
            return stream.read_exact(&mut [0; 6]).await.map(drop);
        }
    }
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await?;
    if answer == *b"HTTP/1.1 200 OK" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

async fn connect(stream: &mut TcpStream, target: &str) -> io::Result<()> {
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(config.into(), "site.test".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A gateway and a prober over far nodes under this schedule of faults.
async fn simulate(seed: u64, bad: f64, time: Duration, proxy: GatewayConfig) -> Figures {
    let distances = Distances { seed, median: Duration::from_millis(120), sigma: 0.7, jitter: 0.1, loss: 0.0 };
    let nodes = Arc::new(Nodes::new(distances.draw(NODES)));
    let pool = Arc::new(Pool::<Arc<dyn Dialer>>::new(Rules::default()));
    let listed = (0..NODES).map(|node| (Nodes::spec(node), Label::default())).collect();
    let list = PoolChange::List { source: "lab".into(), allow_private: false, nodes: listed, complete: true };
    pool.apply(list, START);
    let (clock, stop) = (Clock::starting_at(START), CancellationToken::new());
    // Ten seconds between two probes, as `chaos` sets it.
    let config = ProbeConfig {
        interval: Duration::from_secs(10),
        ..ProbeConfig::new(format!("http://{PROBE_HOST}/").parse().unwrap())
    };
    let checks = Checks {
        check: Arc::new(RoundTrip),
        node_check: None,
        trace: None,
        geo: None,
        canaries: Vec::new(),
        uplink: Vec::new(),
        http: None,
        judge: None,
    };
    let prober = Prober::with(config, pool.clone(), nodes.clone(), checks, clock, ProbeMetrics::default());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let gateway = Gateway::new(proxy, pool.clone(), nodes.clone(), clock, Metrics::default());
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let stop = stop.clone();
        async move { prober.run(stop).await }
    });
    tasks.spawn(async move { gateway.serve(socket, CancellationToken::new()).await.unwrap() });
    // Paused time jumps to the next timer whenever nobody runs, also while bytes are on their way through a socket: a tick
    // keeps the jumps short.
    tasks.spawn(async {
        let mut ticks = interval(Duration::from_millis(1));
        loop {
            ticks.tick().await;
        }
    });
    sleep(SETTLE).await;
    let schedule = FaultSchedule { seed, bad, dwell: Duration::from_secs(4), faults: FaultSchedule::PUBLIC.to_vec() };
    tasks.spawn({
        let (nodes, began) = (nodes.clone(), Instant::now());
        async move {
            for turn in schedule.changes(NODES) {
                sleep_until(began + turn.at).await;
                nodes.turn(turn.node, turn.fault);
            }
        }
    });
    let counts = || [&nodes.attempts, &nodes.probes].map(|count| count.load(std::sync::atomic::Ordering::Relaxed));
    let before = counts();
    let (hello, end) = (Arc::<[u8]>::from(client_hello()), Instant::now() + time);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let hello = hello.clone();
        clients.spawn(async move {
            let (mut took, mut lost) = (Vec::new(), 0);
            for number in client.. {
                let began = Instant::now();
                if began >= end {
                    break;
                }
                let shape = [Shape::Http, Shape::Tls, Shape::Tls, Shape::Tunnel][(number % 4) as usize];
                match timeout(LIMIT, ask(address, shape, &hello)).await {
                    Ok(Ok(())) => took.push(began.elapsed()),
                    _ => {
                        lost += 1;
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            (took, lost)
        });
    }
    let ended = clients.join_all().await;
    let after = counts();
    stop.cancel();
    tasks.abort_all();
    let lost: usize = ended.iter().map(|(_, lost)| lost).sum();
    let mut took: Vec<Duration> = ended.into_iter().flat_map(|(took, _)| took).collect();
    took.sort_unstable();
    let attempts = (after[0] - before[0]) as f64 / (took.len() + lost).max(1) as f64;
    let probes = (after[1] - before[1]) as f64 / NODES as f64 / (time.as_secs_f64() / 60.0);
    Figures { took, lost, attempts, probes }
}

#[tokio::test(start_paused = true)]
async fn bad_nodes_far_away_cost_little_time() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let time = Duration::from_secs(number("HEZAR_FAR_SECONDS", 20));
    for seed in number("HEZAR_FAR_SEED", 7)..number("HEZAR_FAR_SEED", 7) + number("HEZAR_FAR_SEEDS", 1) {
        let mut good: Option<Figures> = None;
        // Measured are 1.0, 1.1 and 1.2 attempts for each request and nothing lost.
        for (bad, most_attempts) in [(0.0, 1.1), (0.4, 1.5), (0.7, 1.9)] {
            let figures = simulate(seed, bad, time, GatewayConfig::default()).await;
            let base = good.as_ref().unwrap_or(&figures);
            let [p90, p99] = [0.9, 0.99].map(|share| figures.percentile(share) / base.percentile(share));
            println!("seed {seed}, {:.0} % bad: {figures} (p90 ×{p90:.2}, p99 ×{p99:.2})", bad * 100.0);
            assert!(figures.took.len() > 100, "{figures}");
            assert!(figures.attempts <= most_attempts, "{figures}");
            assert!(figures.lost_share() <= 0.02, "{figures}");
            good.get_or_insert(figures);
        }
    }
}
