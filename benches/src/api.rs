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
        let mut stream = TcpStream::connect(self.address).await.context("the API")?;
        let request = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
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
        Ok(serde_json::from_str(body)?)
    }
}
