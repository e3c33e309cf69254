//! Open-loop load through a proxy: requests start at a fixed rate, whatever becomes of the ones before.

use std::{net::SocketAddr, sync::Arc, time::Duration};

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

pub mod contestant;
mod request;
mod tally;

pub use tally::Tally;

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
}

impl Shape {
    /// Every shape, in the order in which they take turns.
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::RawTls, Self::Clear];
}

/// One load.
#[derive(Clone, Debug)]
pub struct Load {
    /// The proxy.
    pub proxy: SocketAddr,
    /// Requests a second.
    pub rate: f64,
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

/// Runs a load to its end and tells what became of every request.
///
/// # Errors
/// When the root is no certificate.
pub async fn run(load: &Load) -> anyhow::Result<Vec<Shot>> {
    let aim = Arc::new(Aim { proxy: load.proxy, limit: load.limit, tls: trusting(&load.root)? });
    let began = Instant::now();
    let mut running = JoinSet::new();
    let count = (load.rate * load.time.as_secs_f64()) as u64;
    for number in 0..count {
        sleep_until(began + Duration::from_secs_f64(number as f64 / load.rate)).await;
        let aim = aim.clone();
        let shape = Shape::ALL[(number % 4) as usize];
        running.spawn(async move {
            let started = Instant::now();
            let result = timeout(aim.limit, request::ask(&aim, shape, number)).await;
            let result = match result {
                Ok(Ok(exit)) => Ok(exit),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err("the client gave up".to_owned()),
            };
            Shot { shape, at: started - began, took: started.elapsed(), result }
        });
    }
    Ok(running.join_all().await)
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
