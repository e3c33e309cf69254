//! Load through a proxy, open (requests start at a fixed rate, whatever becomes of those before) or closed (clients that each
//! ask again when they have their answer).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer},
};

pub mod arena;
pub mod contestant;
mod request;
mod tally;

pub use tally::Tally;

/// The pause of a client of a closed loop after a request that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What is asked for, each over a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// An absolute-form GET.
    Http,
    /// A GET in clear inside a CONNECT tunnel.
    Clear,
    /// A GET inside TLS inside a CONNECT tunnel.
    Https,
    /// An exchange of bytes inside TLS inside a SOCKS5 tunnel.
    RawTls,
    /// So many MiB by a GET in clear inside a CONNECT tunnel.
    Download(u32),
}

impl Shape {
    /// Every small shape, in the order in which they take turns.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::RawTls, Self::Clear];
}

/// When requests start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// So many a second.
    PerSecond(f64),
    /// So many clients, each of which asks again when its request is over.
    Clients(usize),
}

/// One load.
#[derive(Clone, Debug)]
pub struct Load {
    /// The proxy.
    pub proxy: SocketAddr,
    /// When requests start.
    pub arrivals: Arrivals,
    /// What is asked for in turn.
    pub shapes: Vec<Shape>,
    /// How long new ones start.
    pub time: Duration,
    /// What a client is willing to wait.
    pub limit: Duration,
    /// The root that the targets' certificates come from, DER.
    pub root: Vec<u8>,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub struct Shot {
    /// What was asked for.
    pub shape: Shape,
    /// When it started, from the beginning of the load.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// The exit that served it, when the target told, or what went wrong.
    pub result: Result<Option<u64>, String>,
}

/// Everything that one request needs.
struct Aim {
    proxy: SocketAddr,
    limit: Duration,
    tls: TlsConnector,
}

impl Load {
    /// Small requests of every shape at a fixed rate.
    #[must_use]
    pub fn at_rate(proxy: SocketAddr, per_second: f64, time: Duration, limit: Duration, root: &[u8]) -> Self {
        let (arrivals, shapes) = (Arrivals::PerSecond(per_second), Shape::ALL.to_vec());
        Self { proxy, arrivals, shapes, time, limit, root: root.to_vec() }
    }

    fn shape(&self, number: u64) -> Shape {
        let place = number.checked_rem(self.shapes.len() as u64).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.shapes.get(place)).copied().unwrap_or(Shape::Http)
    }
}

/// Runs a load to its end and tells what became of every request.
///
/// # Errors
/// When the root is no certificate.
pub async fn run(load: &Load) -> anyhow::Result<Vec<Shot>> {
    let aim = Arc::new(Aim { proxy: load.proxy, limit: load.limit, tls: trusting(&load.root)? });
    let began = Instant::now();
    Ok(match load.arrivals {
        Arrivals::PerSecond(rate) => run_open(load, rate, &aim, began).await,
        Arrivals::Clients(clients) => run_closed(load, clients, &aim, began).await,
    })
}

async fn run_open(load: &Load, rate: f64, aim: &Arc<Aim>, began: Instant) -> Vec<Shot> {
    let mut running = JoinSet::new();
    let count = (rate * load.time.as_secs_f64()) as u64;
    for number in 0..count {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate)).await;
        let (aim, shape) = (aim.clone(), load.shape(number));
        running.spawn(async move { shoot(&aim, shape, number, began).await });
    }
    running.join_all().await
}

async fn run_closed(load: &Load, clients: usize, aim: &Arc<Aim>, began: Instant) -> Vec<Shot> {
    let (end, numbers) = (began + load.time, Arc::new(AtomicU64::new(0)));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (aim, numbers, load) = (aim.clone(), numbers.clone(), load.clone());
        running.spawn(async move {
            let mut shots = Vec::new();
            while Instant::now() < end {
                let number = numbers.fetch_add(1, Relaxed);
                let shot = shoot(&aim, load.shape(number), number, began).await;
                // A proxy that refuses everything at once must not turn the loop into a flood.
                if shot.result.is_err() {
                    sleep_until(Instant::now() + AFTER_FAILURE).await;
                }
                shots.push(shot);
            }
            shots
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

async fn shoot(aim: &Aim, shape: Shape, number: u64, began: Instant) -> Shot {
    let started = Instant::now();
    let result = match timeout(aim.limit, request::ask(aim, shape, number)).await {
        Ok(Ok(exit)) => Ok(exit),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("the client gave up".to_owned()),
    };
    Shot { shape, at: started - began, took: started.elapsed(), result }
}

/// A tunnel by CONNECT.
///
/// # Errors
/// When the proxy refuses it.
pub async fn tunnel(proxy: SocketAddr, host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await.context("proxy")?;
    stream.set_nodelay(true)?;
    request::connect(&mut stream, host, port).await.context("connect")?;
    Ok(stream)
}

/// TLS that trusts one root and nothing else.
///
/// # Errors
/// When the root is no certificate.
pub fn trusting(root: &[u8]) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec()))?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
