//! One HTTP exchange with a core, over a unix socket or TCP, bounded in time and size.

use std::{fmt, path::PathBuf, time::Duration};

use bytes::Bytes;
use hezar_child::without_control;
use hezar_core::Secret;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{ANSWER, ControllerError};

/// The longest answer that is read, in bytes; the list of 10,000 static nodes has 6.1 MB.
const LONGEST_ANSWER: usize = 32 << 20;
/// The longest message of a refusal that is kept, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// Where a core is asked.
#[derive(Clone, PartialEq, Eq)]
pub enum ControllerAddress {
    /// A unix socket. It knows no secret, so its folder must let nobody else in.
    Unix(PathBuf),
    /// A TCP address, `host:port`, with the secret that the core wants.
    Tcp {
        /// Host and port.
        authority: String,
        /// The secret, empty for none.
        secret: Secret,
    },
}

impl fmt::Debug for ControllerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { authority, .. } => write!(f, "http://{authority}"),
        }
    }
}

/// Asks one core. Each question has a connection of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Controller {
    address: ControllerAddress,
}

/// A byte stream to a core.
trait SocketStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> SocketStream for S {}

/// What moves the bytes of an exchange.
type Wire = Connection<TokioIo<Box<dyn SocketStream>>, Full<Bytes>>;

impl Controller {
    /// Asks the core at this address.
    #[must_use]
    pub const fn new(address: ControllerAddress) -> Self {
        Self { address }
    }

    /// The answer to a question of any kind.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ControllerError> {
        self.get_within(path, ANSWER).await
    }

    pub(super) async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: Duration,
    ) -> Result<T, ControllerError> {
        Ok(serde_json::from_slice(&self.exchange(Method::GET, path, String::new(), limit).await?)?)
    }

    /// A request whose answer has no body that anybody needs.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
        limit: Duration,
    ) -> Result<(), ControllerError> {
        self.exchange(method, path, body, limit).await.map(drop)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: String,
        limit: Duration,
    ) -> Result<Bytes, ControllerError> {
        let exchange = async {
            let (mut sender, mut wire) = self.connect().await?;
            let request = self.request(method, path, body)?;
            let whole = async {
                let answer = sender.send_request(request).await?;
                let status = answer.status();
                Ok::<_, ControllerError>((status, read(answer).await?))
            };
            let (status, body) = driven(whole, &mut wire).await?;
            if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
        };
        timeout(limit, exchange).await.map_err(|_| ControllerError::Timeout)?
    }

    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, Wire), ControllerError> {
        let socket: Box<dyn SocketStream> = match &self.address {
            #[cfg(unix)]
            ControllerAddress::Unix(path) => {
                Box::new(tokio::net::UnixStream::connect(path).await.map_err(ControllerError::Connect)?)
            }
            #[cfg(not(unix))]
            ControllerAddress::Unix(_) => {
                return Err(ControllerError::Connect(std::io::ErrorKind::Unsupported.into()));
            }
            ControllerAddress::Tcp { authority, .. } => {
                Box::new(TcpStream::connect(authority).await.map_err(ControllerError::Connect)?)
            }
        };
        Ok(http1::handshake(TokioIo::new(socket)).await?)
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<Request<Full<Bytes>>, http::Error> {
        let (host, secret) = match &self.address {
            ControllerAddress::Unix(_) => ("localhost", ""),
            ControllerAddress::Tcp { authority, secret } => (&**authority, secret.expose()),
        };
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if !secret.is_empty() {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        request.header("content-type", "application/json").body(Full::new(body.into()))
    }
}

/// Waits for `work` while the connection is driven: it works only as long as it is polled.
async fn driven<T, E>(work: impl Future<Output = Result<T, E>>, wire: &mut Wire) -> Result<T, E> {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => done,
        // What has come before the end of the connection is still there to be read.
        _ended = wire => work.await,
    }
}

async fn read(answer: Response<Incoming>) -> Result<Bytes, ControllerError> {
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| ControllerError::Body)
}

/// What the body of a refusal says.
fn refusal(status: StatusCode, body: &[u8]) -> ControllerError {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = value.get("message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
    let message: String = without_control(message).collect();
    let end = message.floor_char_boundary(LONGEST_MESSAGE);
    ControllerError::Refused { status, message: message.get(..end).unwrap_or_default().to_owned() }
}
