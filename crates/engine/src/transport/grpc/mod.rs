//! gRPC as v2ray's `gun` and Xray's multi mode use it: one call of a streaming method for each stream, many of them on
//! one HTTP/2 connection.
//!
//! The answer of a server may begin only after its target has sent something. So a stream is returned as soon as it was asked
//! for, and a refusal shows at the first read.

pub(crate) mod server;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;
use hezar_core::{Grpc, GrpcMode, Host};
use http::{HeaderMap, Request};

use self::wire::Decoder;
use super::{
    http2_body::Framing,
    http2_pool::{Http2Pool, Limits, MuxStream, request},
};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError, budget::ConnectionBudget, security::SecureConnector};

/// The User-Agent of a common gRPC client.
const USER_AGENT: &str = "grpc-go/1.76.0";

/// The prepared gRPC settings of one node, and its connections.
#[derive(Debug)]
pub(super) struct GrpcClient {
    request: Request<()>,
    connections: Http2Pool,
}

impl GrpcClient {
    /// Prepares the call. The authority is the published one, else the TLS server name, else the server's host.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when HTTP cannot carry it.
    pub(super) fn new(
        settings: &Grpc,
        sni: Option<&str>,
        server: &Host,
        secure: bool,
        budget: ConnectionBudget,
    ) -> Result<Self, BuildError> {
        let authority = [settings.authority.as_deref(), sni];
        let path = path(&settings.service_name, settings.mode);
        let mut request = request("POST", secure, &authority, server, &path)?;
        let headers = request.headers_mut();
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", USER_AGENT)] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        Ok(Self { request, connections: Http2Pool::new(Limits::default(), budget) })
    }

    /// Calls the method.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn open(&self, connector: &SecureConnector, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let (permit, exchange) = self.connections.request(connector, &self.request, false, attempt).await?;
        Ok(Box::new(MuxStream::new(permit, exchange, Messages(Decoder::new()))))
    }
}

/// The path of the method. A service name is one segment of the path, slashes and all; one that begins with a slash is a
/// whole path instead, whose last segment names the method, or both methods with a `|` between them (Xray).
fn path(service: &str, mode: GrpcMode) -> String {
    let (own, number) = if mode == GrpcMode::Multi { ("TunMulti", 1) } else { ("Tun", 0) };
    let Some(path) = service.strip_prefix('/') else {
        return format!("/{}/{own}", segment(service));
    };
    let (service, methods) = path.rsplit_once('/').unwrap_or(("", path));
    let mut methods = methods.split('|');
    let first = methods.next().unwrap_or_default();
    let method = if number == 1 { methods.next().unwrap_or(first) } else { first };
    let service: Vec<_> = service.split('/').map(segment).collect();
    format!("/{}/{}", service.join("/"), segment(method))
}

/// A segment of a path, percent-encoded as Go's `url.PathEscape` does it: servers compare the encoded form.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+:=@".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// Payload in gRPC messages.
#[derive(Debug)]
struct Messages(Decoder);

impl Framing for Messages {
    fn head(&mut self, headers: &HeaderMap) -> Result<(), Cause> {
        status::check(headers)
    }

    fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, Cause> {
        self.0.take(bytes)
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Cause> {
        trailers.map_or(Ok(()), status::check)?;
        if self.0.whole() { Ok(()) } else { Err(Cause::Closed) }
    }

    fn wrap(payload: &[u8]) -> Bytes {
        wire::message(payload)
    }
}
