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
use tokio::net::TcpStream;

use self::{
    body::OutBody,
    client_stream::{ClientStream, Queue},
    exchange::NodeIo,
    place::Destination,
    proxy_status::PROXY_STATUS,
    request_head::Asked,
};
use super::Inbox;
use crate::{
    Refusal,
    access::{failed_login, log_in},
    auth::{Basic, Identity, admit, basic},
    course::{Course, NodeLease, Route, Verdict},
    gateway::{Shared, reject},
    journal::{Inbound, Journal},
    metrics::Raised,
    tunnel::{carry, tunnel},
};

mod answer;
mod body;
mod body_end;
mod client_stream;
mod exchange;
mod forward;
mod head;
mod headers;
mod place;
mod proxy_answer;
mod proxy_status;
mod request_head;
mod request_line;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use request_head::reads_request;

/// Room in the read buffer beside the largest head; what is written again may be longer by a few bytes a line.
const BODY_ROOM: usize = 16 * 1024;

/// A connection that stops being HTTP when its last answer has been sent.
enum Handover {
    /// CONNECT: the client's bytes go to the node as they are.
    Connect { client: OnUpgrade, course: Box<Course>, route: Route, journal: Journal },
    /// `101 Switching Protocols` from the target.
    Upgrade { client: OnUpgrade, node: OnUpgrade, lease: NodeLease, verdict: Verdict, journal: Journal },
}

/// What the requests of one connection share.
struct Connection {
    shared: Arc<Shared>,
    client: SocketAddr,
    handover: Mutex<Option<Handover>>,
    /// What the heads that hyper has read ask for.
    queue: Queue,
}

/// Serves an HTTP client.
pub(super) async fn serve(shared: &Arc<Shared>, mut inbox: Inbox, client: SocketAddr) {
    if let Err(refusal) = head::first(&mut inbox, shared.config.max_head).await {
        reject(shared, client, &refusal);
        if matches!(refusal, Refusal::ClientGone) {
            return;
        }
        return inbox.farewell(&answer::bytes(&refusal), &shared.courtesy).await;
    }
    let (handover, queue) = (Mutex::new(None), Queue::default());
    let connection = Arc::new(Connection { shared: shared.clone(), client, handover, queue });
    if let Err(error) = speak(&connection, inbox).await {
        tracing::debug!(%client, %error, "HTTP connection ended");
    }
    let handover = connection.handover.lock().take();
    if let Some(handover) = handover {
        handover.run(shared).await;
    }
}

/// Requests and answers until the connection closes or stops being HTTP.
async fn speak(connection: &Arc<Connection>, inbox: Inbox) -> hyper::Result<()> {
    let config = &connection.shared.config;
    let service = service_fn(|request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(connection.answer(request).await) }
    });
    let (stream, front) = inbox.into_parts();
    let stream = ClientStream::new(stream, front, connection.shared.clone(), connection.queue.clone());
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
        () = connection.shared.drain.cancelled() => speaking.as_mut().graceful_shutdown(),
    }
    speaking.await
}

impl Connection {
    async fn answer(&self, request: Request<Incoming>) -> Response<OutBody> {
        let connect = request.method() == Method::CONNECT;
        let asked = self.queue.lock().pop_front();
        // hyper reads no head that was not asked about; should it ever, the connection ends.
        let lost = || Asked { destination: Err(Refusal::BadRequest("the request has no head")), leaves_http: true };
        let Asked { destination, leaves_http } = asked.unwrap_or_else(lost);
        let mut response = self.serve(request, destination).await;
        let left = response.status() == StatusCode::SWITCHING_PROTOCOLS || connect && response.status().is_success();
        if leaves_http && !left {
            // What follows was meant for the tunnel, and is never read as another request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn serve(&self, request: Request<Incoming>, destination: Result<Destination, Refusal>) -> Response<OutBody> {
        let inbound = if request.method() == Method::CONNECT { Inbound::Connect } else { Inbound::Http };
        let mut journal = Journal::new(&self.shared, inbound, self.client);
        let login = self.login(&request);
        // Who asks for the impossible is told so before it is asked for a password.
        let asked = match destination {
            Ok(destination) => self.identify(login).await.map(|identity| (destination, identity)),
            Err(refusal) => Err(refusal),
        };
        let (destination, identity) = match asked {
            Ok(asked) => asked,
            Err(refusal) => {
                journal.refused(&refusal, 0);
                return self.refuse(&refusal);
            }
        };
        journal.identity(&identity);
        match destination {
            Destination::Tunnel(target) => self.connect(request, &target, &identity, journal).await,
            Destination::Forward(place) => self.forward(request, place, &identity, journal).await,
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
            Basic::Malformed if self.shared.config.users.is_empty() => {
                return Err(Refusal::BadRequest("the Basic credentials in Proxy-Authorization cannot be read"));
            }
            Basic::Malformed => return Err(failed_login(&self.shared, &[], self.client)),
        };
        let identity = log_in(&self.shared, &logins, self.client).await?;
        admit(&self.shared, identity, self.client.ip())
    }

    /// The answer to a request that goes nowhere. Whoever has not logged in does not keep the connection.
    fn refuse(&self, refusal: &Refusal) -> Response<OutBody> {
        let mut response = answer::response(refusal);
        let failed = matches!(refusal, Refusal::AuthWrong | Refusal::LoginLimit);
        if failed || self.shared.visitors.is_stranger(self.client) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn connect(
        &self,
        request: Request<Incoming>,
        target: &Target,
        identity: &Identity,
        mut journal: Journal,
    ) -> Response<OutBody> {
        journal.target(target);
        let mut course = Course::new(&self.shared, identity, self.client.ip(), target);
        match course.next().await {
            Ok(route) => {
                journal.connected(route.lease.id(), course.attempts());
                let named = proxy_status::served(&self.shared, identity, &route.lease);
                let client = hyper::upgrade::on(request);
                let course = Box::new(course);
                *self.handover.lock() = Some(Handover::Connect { client, course, route, journal });
                let mut response = Response::new(OutBody::empty());
                response.headers_mut().extend(named.map(|named| (PROXY_STATUS, named)));
                response
            }
            Err(refusal) => {
                journal.refused(&refusal, course.attempts());
                answer::response(&refusal)
            }
        }
    }
}

impl Handover {
    async fn run(self, shared: &Arc<Shared>) {
        match self {
            Self::Connect { client, course, route, journal } => {
                if let Some(client) = client.await.ok().and_then(client_beneath) {
                    tunnel(shared, client, *course, route, journal).await;
                }
            }
            Self::Upgrade { client, node, lease, mut verdict, mut journal } => {
                let (_lease, _open) = (lease, Raised::new(&shared.metrics.tunnels));
                let client = client.await.ok().and_then(client_beneath);
                let node = node.await.ok().and_then(beneath::<NodeIo>);
                if let (Some(mut client), Some(mut node)) = (client, node) {
                    journal.code = carry(shared, &mut client, &mut node, &mut journal.counts, &mut verdict).await;
                }
            }
        }
    }
}

/// The client's socket again, with what it said behind its last request in front.
fn client_beneath(upgraded: Upgraded) -> Option<Prefixed<TcpStream>> {
    let parts = upgraded.downcast::<TokioIo<ClientStream>>().ok()?;
    Some(parts.io.into_inner().into_client(parts.read_buf))
}

/// The stream again, without HTTP's layers around it. Whoever began the connection put it in, so it is always found.
fn beneath<S: Stream>(upgraded: Upgraded) -> Option<Prefixed<S>> {
    let parts = upgraded.downcast::<TokioIo<S>>().ok()?;
    Some(Prefixed::new(parts.read_buf, parts.io.into_inner()))
}
