//! The HTTP proxy: CONNECT and absolute-form requests (RFC 9112 §3.2), HTTP/1.0 and HTTP/1.1.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc};

use hezar_core::Target;
use hezar_engine::{Prefixed, Stream};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, PROXY_AUTHORIZATION},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use self::{
    body::ResponseBody,
    client_stream::{ClientStream, Queue},
    destination::Destination,
    request_head::RequestRoute,
};
use super::{ClientBuffer, ClientSocket, Handover};
use crate::{
    Refusal,
    access::{Basic, Identity, basic},
    context::Context,
    failover::{AttemptReport, Connected, Failover, NodeLease},
    telemetry::{AccessLogEntry, InboundKind},
};

mod answer;
mod body;
mod body_end;
mod client_stream;
mod destination;
mod exchange;
mod forward;
mod head;
mod headers;
mod proxy_answer;
mod proxy_status;
mod request_head;
mod request_line;
mod site_refusal;
#[cfg(test)]
mod tests;
mod upload;
mod write_timeout;

pub(super) use exchange::NodeIo;
#[cfg(feature = "fuzzing")]
pub(crate) use request_head::reads_request;

/// Room in the read buffer beside the largest head; what is written again may be longer by a few bytes a line.
const BODY_ROOM: usize = 16 * 1024;

/// A connection that stops being HTTP when its last answer has been sent.
enum PendingHandover {
    /// CONNECT.
    Connect { client: OnUpgrade, failover: Box<Failover>, connected: Connected, log_entry: AccessLogEntry },
    /// `101 Switching Protocols` from the target.
    Upgrade { client: OnUpgrade, node: OnUpgrade, lease: NodeLease, report: AttemptReport, log_entry: AccessLogEntry },
}

/// What the requests of one connection share.
struct ClientConnection {
    context: Arc<Context>,
    client: SocketAddr,
    handover: Mutex<Option<PendingHandover>>,
    /// What the heads that hyper has read ask for.
    queue: Queue,
}

/// Serves an HTTP client.
pub(super) async fn serve(context: &Arc<Context>, mut buffer: ClientBuffer, client: SocketAddr) -> Option<Handover> {
    if let Err(refusal) = head::wait_for_head(&mut buffer, context.config().max_head).await {
        context.telemetry.reject(client, &refusal);
        if matches!(refusal, Refusal::ClientGone) {
            return None;
        }
        refuse(context, buffer, &refusal).await;
        return None;
    }
    let (handover, queue) = (Mutex::new(None), Queue::default());
    let connection = Arc::new(ClientConnection { context: context.clone(), client, handover, queue });
    if let Err(error) = speak(&connection, buffer).await {
        tracing::debug!(%client, %error, "HTTP connection ended");
    }
    let pending = connection.handover.lock().take()?;
    pending.complete().await
}

/// Answers a client on whose connection HTTP never began, and closes it.
pub(super) async fn refuse(context: &Context, buffer: ClientBuffer, refusal: &Refusal) {
    buffer.send_and_close(&answer::bytes(refusal), &context.access.reject_budget).await;
}

/// Requests and answers until the connection closes or stops being HTTP.
async fn speak(connection: &Arc<ClientConnection>, buffer: ClientBuffer) -> hyper::Result<()> {
    let config = connection.context.config();
    let service = service_fn(|request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(connection.answer(request).await) }
    });
    let (stream, front) = buffer.into_parts();
    let stream = ClientStream::new(stream, front, connection.context.clone(), connection.queue.clone());
    let speaking = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive)
        // The client's stream keeps the bounds; hyper's must only not be smaller.
        .max_header_size(2 * config.max_head)
        .max_headers(request_head::MAX_LINES + 1)
        .max_buf_size(2 * config.max_head + BODY_ROOM)
        // The answer is the target's: nothing is added to it.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut speaking = pin!(speaking);
    tokio::select! {
        result = speaking.as_mut() => return result,
        () = connection.context.drain.cancelled() => speaking.as_mut().graceful_shutdown(),
    }
    speaking.await
}

impl ClientConnection {
    async fn answer(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let connect = request.method() == Method::CONNECT;
        let route = self.queue.lock().pop_front();
        // hyper reads only heads that have a route; if that ever fails, the connection ends.
        let lost =
            || RequestRoute { destination: Err(Refusal::BadRequest("the request has no head")), leaves_http: true };
        let RequestRoute { destination, leaves_http } = route.unwrap_or_else(lost);
        let mut response = self.serve(request, destination).await;
        let left = response.status() == StatusCode::SWITCHING_PROTOCOLS || connect && response.status().is_success();
        if (leaves_http || self.context.is_handed_over()) && !left {
            // What follows was meant for the tunnel, and is never read as another request. Or a successor serves what follows.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        destination: Result<Destination, Refusal>,
    ) -> Response<ResponseBody> {
        let inbound = if request.method() == Method::CONNECT { InboundKind::Connect } else { InboundKind::Http };
        let mut log_entry = AccessLogEntry::new(&self.context.telemetry, inbound, self.client);
        log_entry.set_method(request.method().clone());
        let login = self.login(&request);
        // A request that cannot be served is refused before a password is asked for.
        let admitted = match destination {
            Ok(destination) => {
                log_entry.set_target(destination.target());
                let identity = self.identify(login).await;
                identity.and_then(|identity| self.admit(identity, destination, &mut log_entry))
            }
            Err(refusal) => Err(refusal),
        };
        let (destination, identity) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                log_entry.refused(&refusal, 0);
                return self.refuse(&refusal);
            }
        };
        match destination {
            Destination::Tunnel(target) => self.connect(request, &target, &identity, log_entry).await,
            Destination::Forward(place) => self.forward(request, place, &identity, log_entry).await,
        }
    }

    /// The name and password that a request brings: the first ones, behind headers of other schemes or not.
    fn login(&self, request: &Request<Incoming>) -> Basic {
        let mut logins = request.headers().get_all(PROXY_AUTHORIZATION).iter().map(|value| basic(value.as_bytes()));
        logins.find(|login| !matches!(login, Basic::Other)).unwrap_or(Basic::Other)
    }

    /// Who asks.
    async fn identify(&self, login: Basic) -> Result<Identity, Refusal> {
        let logins = match login {
            // Nobody asked for a password of another kind, and it may be meant for somebody else: as if there were none.
            Basic::Other => Vec::new(),
            Basic::Logins(logins) => logins,
            Basic::Malformed if self.context.config().users.is_empty() => {
                return Err(Refusal::BadRequest("the Basic credentials in Proxy-Authorization cannot be read"));
            }
            Basic::Malformed => return Err(self.context.access.failed_login(&[], self.client)),
        };
        self.context.access.log_in(&logins, self.client).await
    }

    /// Whether somebody who is known may go there now.
    fn admit(
        &self,
        identity: Identity,
        destination: Destination,
        log_entry: &mut AccessLogEntry,
    ) -> Result<(Destination, Identity), Refusal> {
        log_entry.set_user(&identity.user);
        let access = &self.context.access;
        let identity = access.admit(identity, self.client)?;
        access.check_target(&identity, destination.target())?;
        Ok((destination, identity))
    }

    /// The answer to a request that goes nowhere. Whoever has not logged in does not keep the connection.
    fn refuse(&self, refusal: &Refusal) -> Response<ResponseBody> {
        let mut response = answer::response(refusal);
        let failed = matches!(refusal, Refusal::AuthWrong | Refusal::LoginLimit);
        if failed || self.context.access.clients.is_pending(self.client) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn connect(
        &self,
        request: Request<Incoming>,
        target: &Target,
        identity: &Identity,
        mut log_entry: AccessLogEntry,
    ) -> Response<ResponseBody> {
        log_entry.begin(identity, Some(target));
        let mut failover = Failover::new(&self.context.selection, identity, self.client.ip(), target);
        let end = log_entry.end();
        let connected = tokio::select! {
            biased;
            connected = failover.connect_next() => connected,
            refusal = end.wait() => Err(refusal),
        };
        match connected {
            Ok(connected) => {
                log_entry.connected(&connected.lease, failover.attempts());
                let mut response = Response::new(ResponseBody::empty());
                proxy_status::name_exit(response.headers_mut(), &self.context, identity, &connected.lease);
                let client = hyper::upgrade::on(request);
                let failover = Box::new(failover);
                *self.handover.lock() = Some(PendingHandover::Connect { client, failover, connected, log_entry });
                response
            }
            Err(refusal) => {
                log_entry.refused(&refusal, failover.attempts());
                answer::response(&refusal)
            }
        }
    }
}

impl PendingHandover {
    /// Waits until hyper gives the streams back; nothing when one of them is gone by then.
    async fn complete(self) -> Option<Handover> {
        match self {
            Self::Connect { client, failover, connected, log_entry } => {
                let client = unwrap_client(client.await.ok()?)?;
                Some(Handover::Tunnel { client, failover, connected, log_entry })
            }
            Self::Upgrade { client, node, lease, report, log_entry } => {
                let client = unwrap_client(client.await.ok()?)?;
                let node = unwrap_upgraded::<NodeIo>(node.await.ok()?)?;
                Some(Handover::Upgrade { client, node, lease, report, log_entry })
            }
        }
    }
}

/// The client's socket again, with what it said behind its last request in front.
fn unwrap_client(upgraded: Upgraded) -> Option<Prefixed<ClientSocket>> {
    let parts = upgraded.downcast::<TokioIo<ClientStream>>().ok()?;
    Some(parts.io.into_inner().into_client(parts.read_buf))
}

/// The stream again, without HTTP's layers around it. Whoever began the connection put it in, so it is always found.
fn unwrap_upgraded<S: Stream>(upgraded: Upgraded) -> Option<Prefixed<S>> {
    let parts = upgraded.downcast::<TokioIo<S>>().ok()?;
    Some(Prefixed::new(parts.read_buf, parts.io.into_inner()))
}
