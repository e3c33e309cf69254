//! A web server behind the inbound that answers strangers: whole connections are joined with it, and single requests of HTTP/2 and
//! HTTP/3 become requests of HTTP/1.1.

use std::{io, time::Duration};

use bytes::Bytes;
use hezar_core::Target;
use hezar_engine::{Attempt, BoxStream, Dialer, server::WebBody};
use http::{HeaderValue, Request, Response, Uri, Version, header::HOST, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::{hop_by_hop, relay::relay};

/// How long the web server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to begin its answer, and how long a whole exchange may last.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(600);

/// Joins a stranger with the web server until both have ended or nothing has moved for `idle`. Whenever something moves, `moved` is called.
///
/// # Errors
/// The stranger's stream, when the web server cannot be reached.
pub(super) async fn join(
    direct: &dyn Dialer,
    address: &Target,
    mut stream: BoxStream,
    idle: Duration,
    moved: impl Fn(),
) -> Result<(), BoxStream> {
    let Some(mut server) = connect(direct, address).await else { return Err(stream) };
    relay(&mut stream, &mut server, idle, |_, _, _| moved(), || u64::MAX).await;
    Ok(())
}

async fn connect(direct: &dyn Dialer, address: &Target) -> Option<BoxStream> {
    match direct.connect(address, &Attempt::within(CONNECT_TIMEOUT)).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%address, %error, "the site for strangers cannot be reached");
            None
        }
    }
}

/// Asks the web server for one answer; `None` when it gives none.
pub(super) async fn exchange(
    direct: &dyn Dialer,
    address: &Target,
    request: Request<Bytes>,
) -> Option<Response<WebBody>> {
    let stream = connect(direct, address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the answer's body, which may be read after this function.
    tokio::spawn(timeout(EXCHANGE_TIMEOUT, connection));
    let request = to_http1(request).map(Full::new);
    let (mut head, body) = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await.ok()?.ok()?.into_parts();
    hop_by_hop::strip(&mut head.headers);
    head.extensions.clear();
    Some(Response::from_parts(head, body.map_err(io::Error::other).boxed_unsync()))
}

/// The request as HTTP/1.1 says it (RFC 9113 §8.3.1): the authority is a header, and the target a path.
fn to_http1(request: Request<Bytes>) -> Request<Bytes> {
    let (mut head, body) = request.into_parts();
    hop_by_hop::strip(&mut head.headers);
    if let Some(host) = head.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok()) {
        head.headers.insert(HOST, host);
    }
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    Request::from_parts(head, body)
}
