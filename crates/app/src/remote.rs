//! The client of a running instance: what `hezar nodes`, `add`, `remove` and `status` ask through.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, anyhow, bail};
use hezar_core::Secret;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, time::timeout};

use crate::config::Config;

/// The longest answer read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The file that holds the API token, in the data folder.
pub(crate) const TOKEN_FILE: &str = "token";

/// A running instance, found through the configuration.
#[derive(Debug)]
pub(crate) struct Remote {
    address: SocketAddr,
    token: Secret,
}

impl Remote {
    pub(crate) fn find(config: &Config) -> anyhow::Result<Self> {
        let address = config.api.listen.ok_or_else(|| anyhow!("the API is switched off (api.enabled = false)"))?;
        let token = match &config.api.token {
            Some(token) => token.clone(),
            None => token_file(&config.data)?,
        };
        Ok(Self { address: reachable(address), token })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, String::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        self.ask(Method::POST, path, body).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        self.ask(Method::DELETE, path, body).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> anyhow::Result<T> {
        let answer = timeout(TIMEOUT, self.exchange(method, path, body)).await;
        let (status, body) = answer.map_err(|_| anyhow!("{} did not answer within 30 s", self.address))??;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the answer has another shape: is the instance another version?");
        }
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = error.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
        bail!("the instance refused ({status}): {message}")
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> anyhow::Result<(hyper::StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.address).await.with_context(|| {
            format!("no instance answers on {}: is `hezar run` running with the same configuration?", self.address)
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("connection", "close")
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .body(Full::new(Bytes::from(body)))?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|e| anyhow!(e))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        // The connection only works while it is polled, and ends with the answer.
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    }
}

/// An instance that listens on every address is asked through loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(loopback, address.port())
}

fn token_file(data: &Path) -> anyhow::Result<Secret> {
    let file = data.join(TOKEN_FILE);
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read the API token in {}: start `hezar run` first, or name its folder with --data",
            file.display()
        )
    })?;
    Ok(Secret::new(text.trim()))
}
