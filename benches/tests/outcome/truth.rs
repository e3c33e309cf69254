//! The pool learns what has turned, in time that does not pass: the real prober over nodes that the test turns. The figures
//! are printed: `cargo test -p hezar-bench --test outcome truth -- --nocapture`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_bench::truth::{Called, Observer};
use hezar_core::{Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target, Timestamp};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, BuildError, Cause, Clock, DialError, Dialer, Engine};
use hezar_lab::{Fault, FaultSchedule};
use hezar_pool::{Origin, Outcome, Pool, PoolChange, Query, Rules};
use hezar_probe::{Check, Checks, ProbeConfig, ProbeMetrics, Prober};
use parking_lot::Mutex;
use tokio::time::{Instant, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

const NODES: usize = 100;
const START: Timestamp = Timestamp(1_700_000_000_000);
/// How long a good node takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_millis(100);

fn spec(node: usize) -> NodeSpec {
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    NodeSpec::new(Target::parse(&format!("11.0.0.{node}:1080")).unwrap(), Outbound::Socks(socks))
}

/// What each node does now, and how many probes there were.
#[derive(Debug)]
struct Nodes {
    faults: Mutex<Vec<Fault>>,
    probes: Mutex<u64>,
}

#[derive(Debug)]
struct FakeNode(usize, Arc<Nodes>);

#[async_trait]
impl Dialer for FakeNode {
    async fn connect(&self, _: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        *self.1.probes.lock() += 1;
        let fault = self.1.faults.lock()[self.0];
        match fault {
            Fault::Healthy => {
                sleep(ANSWERS_AFTER).await;
                Ok(Box::new(tokio::io::empty()))
            }
            Fault::Mute => attempt.stage(Stage::Handshake, std::future::pending::<Result<BoxStream, Cause>>()).await,
            _ => Err(DialError::new(Stage::Handshake, Cause::Closed)),
        }
    }
}

#[derive(Debug)]
struct Fakes(Arc<Nodes>);

impl Engine for Fakes {
    fn dialer(&self, spec: &NodeSpec, _: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        let host = spec.server.host().to_string();
        let node = host.rsplit('.').next().and_then(|last| last.parse().ok()).unwrap();
        Ok(Arc::new(FakeNode(node, self.0.clone())))
    }

    fn direct(&self, _: AddressPolicy) -> Arc<dyn Dialer> {
        unreachable!("there is no control check")
    }
}

#[derive(Debug)]
struct Connects;

#[async_trait]
impl Check for Connects {
    async fn check(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<(), DialError> {
        via.connect(&Target::parse("url.test:80").unwrap(), attempt).await.map(drop)
    }
}

/// A simulation: the observer at its end, and the probes per node and minute.
async fn simulate(minutes: u64, requests_per_second: u64) -> (Observer, f64) {
    let nodes = Arc::new(Nodes { faults: Mutex::new(vec![Fault::Healthy; NODES]), probes: Mutex::default() });
    let pool = Arc::new(Pool::<Arc<dyn Dialer>>::new(Rules::default()));
    let listed = (0..NODES).map(|node| (spec(node), Label::default())).collect();
    let list = PoolChange::List { source: "lab".into(), allow_private: false, nodes: listed, complete: true };
    pool.apply(list, START);
    let ids: Vec<NodeId> = (0..NODES).map(|node| spec(node).id()).collect();
    let clock = Clock::starting_at(START);
    let config = ProbeConfig {
        interval: Duration::from_secs(10),
        dead_interval: Duration::from_secs(10),
        ..ProbeConfig::new("http://url.test/".parse().unwrap())
    };
    let settles_after = config.interval + config.timeout;
    let checks = Checks {
        check: Arc::new(Connects),
        node_check: None,
        trace: None,
        geo: None,
        canaries: Vec::new(),
        uplink: Vec::new(),
        http: None,
        judge: None,
    };
    let engine = Arc::new(Fakes(nodes.clone()));
    let prober = Prober::with(config, pool.clone(), engine, checks, clock, ProbeMetrics::default());
    let stop = CancellationToken::new();
    let probing = tokio::spawn({
        let (prober, stop) = (prober.clone(), stop.clone());
        async move { prober.run(stop).await }
    });
    sleep(Duration::from_secs(12)).await;
    let faults = vec![Fault::Mute, Fault::AcceptThenClose];
    let schedule = FaultSchedule { seed: 7, bad: 0.4, dwell: Duration::from_secs(60), faults };
    let (began, mut observer) = (Instant::now(), Observer::new(&schedule, NODES, settles_after));
    let before = *nodes.probes.lock();
    let turning = async {
        for turn in schedule.changes(NODES) {
            sleep_until(began + turn.at).await;
            nodes.faults.lock()[turn.node] = turn.fault;
        }
    };
    let asking = async {
        if requests_per_second == 0 {
            return std::future::pending().await;
        }
        let mut turns = interval(Duration::from_secs(1) / requests_per_second as u32);
        loop {
            turns.tick().await;
            request(&pool, &nodes, &ids, &clock);
        }
    };
    let watching = async {
        let mut looks = interval(Duration::from_millis(500));
        while began.elapsed() < Duration::from_secs(60 * minutes) {
            looks.tick().await;
            observer.look(began.elapsed(), |node| Called::from_state(pool.node(ids[node])?.state().name()));
        }
    };
    tokio::select! {
        () = turning => {}
        () = asking => {}
        () = watching => {}
    }
    let probes = *nodes.probes.lock() - before;
    stop.cancel();
    probing.await.unwrap();
    let per_minute = probes as f64 / NODES as f64 / minutes as f64;
    println!(
        "{requests_per_second} requests/s: {per_minute:.2} probes per node and minute\n  settled   {}\n  overall   {}",
        observer.settled, observer.overall
    );
    (observer, per_minute)
}

/// A client's request as the gateway reports it: nodes that fail are reported, and the next one is asked.
fn request(pool: &Pool<Arc<dyn Dialer>>, nodes: &Nodes, ids: &[NodeId], clock: &Clock) {
    let mut tried = Vec::new();
    for _ in 0..8 {
        let query = Query { exclude_nodes: &tried, now: Some(clock.now()), ..Query::default() };
        let Some(lease) = pool.pick(&query, rand::random()) else { return };
        let node = ids.iter().position(|id| *id == lease.id()).unwrap();
        let good = nodes.faults.lock()[node].serves();
        let outcome = if good {
            Outcome::success(Origin::Traffic, ANSWERS_AFTER)
        } else {
            Outcome::failure(Origin::Traffic, hezar_core::Fault::Node, Stage::Handshake, "closed")
        };
        pool.report(lease.id(), &outcome, clock.now());
        tried.push(lease.id());
        if good {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_pool_knows_what_has_turned() {
    for (requests_per_second, most_bad, most_dead) in [(0, 6.5, 3.5), (20, 3.0, 2.5)] {
        let (observer, per_minute) = simulate(20, requests_per_second).await;
        assert!(observer.settled.good > 10_000, "much was looked at");
        assert!(observer.settled.bad_among_healthy() < 1.0, "{}", observer.settled);
        assert!(observer.settled.dead_among_good() < 1.0, "{}", observer.settled);
        assert!(observer.overall.bad_among_healthy() < most_bad, "{}", observer.overall);
        assert!(observer.overall.dead_among_good() < most_dead, "{}", observer.overall);
        assert!(per_minute < 8.0, "{per_minute} probes per node and minute");
    }
}
