//! Which way messages take, how often they are tried, and that what waits is bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hezar_core::{Stage, Target, Timestamp};
use hezar_engine::{BoxStream, Cause, DialError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::alerts::message::Status;

/// A way on which every request is answered with a status; 0: nobody is reached.
#[derive(Debug)]
struct Fake {
    status: u16,
    asked: AtomicUsize,
}

impl Fake {
    fn new(status: u16) -> Arc<Self> {
        Arc::new(Self { status, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Dialer for Fake {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.status == 0 {
            return Err(DialError::new(Stage::Connect, Cause::Refused));
        }
        let (ours, mut theirs) = tokio::io::duplex(16 << 10);
        let answer = format!("HTTP/1.1 {} x\r\nContent-Length: 0\r\n\r\n", self.status);
        tokio::spawn(async move {
            let mut said = Vec::new();
            // The body is JSON.
            while !said.ends_with(b"}") {
                if theirs.read_buf(&mut said).await.unwrap_or_default() == 0 {
                    return;
                }
            }
            let _ = theirs.write_all(answer.as_bytes()).await;
        });
        Ok(Box::new(ours))
    }
}

fn sender(pool: &Arc<Fake>, direct: &Arc<Fake>, has_nodes: bool) -> (Arc<AlertSender>, AlertMetrics) {
    let routes = Routes {
        pool: Arc::clone(pool) as Arc<dyn Dialer>,
        direct: Arc::clone(direct) as Arc<dyn Dialer>,
        tls: TlsClients::new(&[]),
        has_nodes: Box::new(move || has_nodes),
    };
    let metrics = AlertMetrics::default();
    (Arc::new(AlertSender::new(routes, Clock::start(), metrics.clone(), Arc::default())), metrics)
}

fn outgoing(via: Via) -> Outgoing {
    let config = AlertConfig {
        name: "phone".into(),
        webhook: Some("http://receiver.test/hook".into()),
        via,
        ..AlertConfig::default()
    };
    let message = Message {
        alert: "phone".into(),
        condition: "disk",
        status: Status::Firing,
        text: "full".into(),
        at: Timestamp(1),
        host: "gate".into(),
    };
    Outgoing { config, message }
}

#[tokio::test(start_paused = true)]
async fn only_auto_falls_back_to_our_own_sockets() {
    for (via, pool_status, direct_status, pool_asked, direct_asked, arrives) in [
        (Via::Pool, 200, 200, 1, 0, true),
        (Via::Pool, 0, 200, 1, 0, false),
        (Via::Pool, 500, 200, 1, 0, false),
        (Via::Direct, 200, 200, 0, 1, true),
        (Via::Direct, 200, 404, 0, 1, false),
        (Via::Auto, 204, 200, 1, 0, true),
        (Via::Auto, 0, 200, 1, 1, true),
        (Via::Auto, 0, 0, 1, 1, false),
    ] {
        let (pool, direct) = (Fake::new(pool_status), Fake::new(direct_status));
        let (sender, _) = sender(&pool, &direct, true);
        let ended = sender.deliver(&outgoing(via)).await;
        assert_eq!(ended.is_ok(), arrives, "{via:?} {pool_status} {direct_status}: {ended:?}");
        assert_eq!((pool.asked(), direct.asked()), (pool_asked, direct_asked), "{via:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_pool_is_told_as_such() {
    let (pool, direct) = (Fake::new(0), Fake::new(200));
    let (sender, _) = sender(&pool, &direct, false);
    let error = sender.deliver(&outgoing(Via::Pool)).await.unwrap_err().to_string();
    assert!(error.contains("no node works") && error.contains("auto") && !error.contains("receiver.test"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_five_times_and_then_given_up() {
    let (pool, direct) = (Fake::new(503), Fake::new(200));
    let (sender, metrics) = sender(&pool, &direct, true);
    sender.leave(outgoing(Via::Pool));
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&sender).run(stop.clone()));
    while metrics.count("phone", "failed") == 0 {
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(pool.asked(), PAUSES.len() + 1);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded() {
    let (pool, direct) = (Fake::new(200), Fake::new(200));
    let (sender, metrics) = sender(&pool, &direct, true);
    for _ in 0..MOST_WAITING + 3 {
        sender.leave(outgoing(Via::Pool));
    }
    assert_eq!(metrics.count("phone", "dropped"), 3);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&sender).run(stop.clone()));
    while metrics.count("phone", "sent") < MOST_WAITING as u64 {
        sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    running.await.unwrap();
}
