//! A client of a running instance's API.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Where it listens, and the token that it wants.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its address.
    pub address: SocketAddr,
    /// What the configuration says.
    pub token: String,
}

impl Api {
    /// One request; gives the JSON of its answer.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let answer = self.send(method, &format!("/api/v1/{path}"), body).await?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// The sum of the counter `name` (with its ending `_total`) over all label sets that contain each of `labels`, as
    /// `code="refused"`.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub async fn counter(&self, name: &str, labels: &[&str]) -> anyhow::Result<f64> {
        let text = self.send("GET", "/metrics", "").await?;
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let wanted = series.filter(|(set, _)| labels.iter().all(|label| set.contains(label)));
        Ok(wanted.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
    }

    /// The text of the answer to one GET of a whole path.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.send("GET", path, "").await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address).await.context("the API")?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(64 << 20).read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer of the API")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "the API: {answer}");
        Ok(body.to_owned())
    }
}
