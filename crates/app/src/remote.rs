//! The client of a running instance: what `hezar nodes`, `add`, `remove` and `status` ask through.

use std::{fmt, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, anyhow};
use hezar_api::ApiToken;
use hezar_core::Secret;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    config::Config,
    places::{Places, UserFolders},
    running::Running,
    token::TOKEN_FILE,
};

/// The longest answer read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take until somebody is known to answer at an address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A request that the instance has refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// What is wrong with the request, as the instance says it.
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the instance refused ({}): {}", self.status, self.message)
    }
}

impl std::error::Error for Refused {}

/// A running instance that commands can ask.
#[derive(Debug)]
pub(crate) struct Remote {
    address: SocketAddr,
    /// `None` for what anybody may ask.
    token: Option<Secret>,
    /// What to add when nobody answers.
    hint: String,
}

impl Remote {
    /// The instance that runs with this data folder. Another configuration file that the user has named is believed before it.
    pub(crate) fn running(data: &Path, places: &Places) -> Option<Self> {
        let running = Running::in_folder(data)?;
        let named = places.file.as_ref().filter(|_| places.named);
        let same = named.is_none_or(|file| std::path::absolute(file).ok() == running.config);
        same.then(|| Self::from(running))
    }

    /// The instance that the user started last, wherever it was.
    pub(crate) fn of_user(user: &UserFolders) -> Option<Self> {
        Running::of_user(user).map(Self::from)
    }

    /// Where the configuration says that an instance listens. When none does, the user hears of the one that runs elsewhere.
    pub(crate) fn configured(config: &Config, user: &UserFolders) -> anyhow::Result<Self> {
        let address = config.api.address().ok_or_else(|| anyhow!("the API is switched off (api.enabled = false)"))?;
        let hint = elsewhere(config, user);
        let token = match &config.api.token {
            Some(ApiToken(token)) => token.clone(),
            None => token_file(&config.data, &hint)?,
        };
        Ok(Self { address: reachable(address), token: Some(token), hint })
    }

    /// As [`Remote::configured`], for what needs no token: the caller may be another user, or in a container without the data folder.
    pub(crate) fn without_token(config: &Config, user: &UserFolders) -> anyhow::Result<Self> {
        let address = config.api.address().ok_or_else(|| anyhow!("the API is switched off (api.enabled = false)"))?;
        Ok(Self { address: reachable(address), token: None, hint: elsewhere(config, user) })
    }

    /// Where its API and its page are reached.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody accepts connections at its address.
    pub(crate) async fn is_reachable(&self) -> bool {
        matches!(timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address)).await, Ok(Ok(_)))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: impl Into<Bytes>) -> anyhow::Result<T> {
        self.ask(Method::POST, path, body.into()).await
    }

    /// As [`Remote::post`], for work that takes up to `longest`.
    pub(crate) async fn post_for<T: DeserializeOwned>(
        &self,
        path: &str,
        body: String,
        longest: Duration,
    ) -> anyhow::Result<T> {
        self.ask_for(Method::POST, path, body.into(), longest + TIMEOUT).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        self.ask(Method::PATCH, path, body.into()).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str, body: String) -> anyhow::Result<T> {
        self.ask(Method::DELETE, path, body.into()).await
    }

    /// The answer to a GET whatever its status is, within `longest`.
    pub(crate) async fn get_any<T: DeserializeOwned>(
        &self,
        path: &str,
        longest: Duration,
    ) -> anyhow::Result<(StatusCode, T)> {
        let (status, body) = self.exchange_within(longest, Method::GET, path, Bytes::new()).await?;
        let body = serde_json::from_slice(&body).with_context(|| {
            format!("{} answered {status} to {path}, in another shape than an instance's", self.address)
        })?;
        Ok((status, body))
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<T> {
        self.ask_for(method, path, body, TIMEOUT).await
    }

    async fn ask_for<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        longest: Duration,
    ) -> anyhow::Result<T> {
        let (status, body) = self.exchange_within(longest, method, path, body).await?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the answer has another shape: is the instance another version?");
        }
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = error.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
        Err(Refused { status, message: message.to_owned() }.into())
    }

    async fn exchange_within(
        &self,
        longest: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer = timeout(longest, self.exchange(method, path, body)).await;
        answer.map_err(|_| anyhow!("{} did not answer within {} s", self.address, longest.as_secs()))?
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.address).await.with_context(|| {
            format!(
                "no instance answers on {}: is `hezar run` running with the same configuration?{}",
                self.address, self.hint
            )
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("connection", "close")
            .header("user-agent", concat!("hezar-cli/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        let request = request.body(Full::new(body))?;
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

impl From<Running> for Remote {
    fn from(running: Running) -> Self {
        Self { address: reachable(running.api), token: Some(running.token), hint: String::new() }
    }
}

/// An instance that listens on every address is asked through loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(loopback, address.port())
}

/// Where the user's instance runs, when it runs elsewhere than this configuration says: as the end of a sentence.
pub(crate) fn elsewhere(config: &Config, user: &UserFolders) -> String {
    let other =
        Running::of_user(user).filter(|other| std::path::absolute(&config.data).ok().as_ref() != Some(&other.data));
    other.map(|other| format!("; another instance runs: --data {} asks it", other.data.display())).unwrap_or_default()
}

fn token_file(data: &Path, hint: &str) -> anyhow::Result<Secret> {
    let file = data.join(TOKEN_FILE);
    let text = std::fs::read_to_string(&file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!(
            "no running instance was found: start one with `hezar run`, or name its data folder with --data (there is no API token {}){hint}",
            file.display()
        ),
        _ => anyhow!("cannot read the API token {}: {error}; is the instance another user's?{hint}", file.display()),
    })?;
    Ok(Secret::new(text.trim()))
}
