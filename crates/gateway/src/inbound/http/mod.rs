//! The HTTP proxy: CONNECT and absolute-form requests (RFC 9112 §3.2), HTTP/1.0 and HTTP/1.1.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc};

use hezar_engine::{Prefixed, Stream};
use http::{Method, Request, Response, header::PROXY_AUTHORIZATION};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use self::{body::OutBody, exchange::NodeIo};
use super::Inbox;
use crate::{
    Refusal,
    auth::{Identity, admit, basic, identify},
    course::{Course, NodeLease, Route, Verdict},
    gateway::{Shared, reject},
    journal::{Inbound, Journal},
    metrics::Raised,
    tunnel::{carry, tunnel},
};

mod answer;
mod body;
mod exchange;
mod forward;
mod head;
mod headers;
mod place;
#[cfg(test)]
mod tests;

pub(crate) use head::end as head_end;

/// Room in the read buffer beside the largest head.
const BODY_ROOM: usize = 16 * 1024;

/// What HTTP is heard on.
type ClientIo = Prefixed<TcpStream>;

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
}

/// Serves an HTTP client.
pub(super) async fn serve(shared: &Arc<Shared>, mut inbox: Inbox, client: SocketAddr) {
    match head::first(&mut inbox, shared.config.max_head).await {
        Ok(()) => {}
        Err(refusal @ Refusal::ClientGone) => return reject(shared, client, &refusal),
        Err(refusal) => {
            reject(shared, client, &refusal);
            return inbox.farewell(&answer::bytes(&refusal), &shared.courtesy).await;
        }
    }
    let connection = Arc::new(Connection { shared: shared.clone(), client, handover: Mutex::new(None) });
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
    let speaking = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive)
        .max_header_size(config.max_head)
        .max_buf_size(config.max_head + BODY_ROOM)
        // The answer is the target's: nothing is added to it.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(inbox.into_client()), service)
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
        let mut journal = Journal::new(&self.shared, if connect { Inbound::Connect } else { Inbound::Http });
        let identity = match self.identify(&request) {
            Ok(identity) => identity,
            Err(refusal) => {
                journal.refused(&refusal, 0);
                return answer::response(&refusal);
            }
        };
        journal.identity(&identity);
        if connect {
            self.connect(request, &identity, journal).await
        } else {
            self.forward(request, &identity, journal).await
        }
    }

    /// Who asks. A request to the proxy itself is told so before it is asked for a password.
    fn identify(&self, request: &Request<Incoming>) -> Result<Identity, Refusal> {
        if request.method() != Method::CONNECT && request.uri().authority().is_none() {
            return Err(Refusal::NotProxied);
        }
        let login = match request.headers().get(PROXY_AUTHORIZATION) {
            None => None,
            Some(value) => Some(basic(value.as_bytes()).ok_or(Refusal::AuthWrong)?),
        };
        let identity = identify(&self.shared.config.users, login.as_ref())?;
        admit(&self.shared, identity, self.client.ip())
    }

    async fn connect(
        &self,
        request: Request<Incoming>,
        identity: &Identity,
        mut journal: Journal,
    ) -> Response<OutBody> {
        let target = match place::of_connect(request.uri()) {
            Ok(target) => target,
            Err(refusal) => {
                journal.refused(&refusal, 0);
                return answer::response(&refusal);
            }
        };
        journal.target(&target);
        let mut course = Course::new(&self.shared, identity, self.client.ip(), &target);
        match course.next().await {
            Ok(route) => {
                journal.connected(route.lease.id(), course.attempts());
                let client = hyper::upgrade::on(request);
                let course = Box::new(course);
                *self.handover.lock() = Some(Handover::Connect { client, course, route, journal });
                Response::new(OutBody::empty())
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
                if let Some(client) = client.await.ok().and_then(beneath::<ClientIo>) {
                    tunnel(shared, client, *course, route, journal).await;
                }
            }
            Self::Upgrade { client, node, lease, mut verdict, mut journal } => {
                let (_lease, _open) = (lease, Raised::new(&shared.metrics.tunnels));
                let client = client.await.ok().and_then(beneath::<ClientIo>);
                let node = node.await.ok().and_then(beneath::<NodeIo>);
                if let (Some(mut client), Some(mut node)) = (client, node) {
                    let before = journal.counts;
                    journal.code = carry(shared, &mut client, &mut node, &mut journal.counts, &mut verdict).await;
                    journal.counts.up += before.up;
                    journal.counts.down += before.down;
                }
            }
        }
    }
}

/// The stream again, without HTTP's layers around it. Whoever began the connection put it in, so it is always found.
fn beneath<S: Stream>(upgraded: Upgraded) -> Option<Prefixed<S>> {
    let parts = upgraded.downcast::<TokioIo<S>>().ok()?;
    Some(Prefixed::new(parts.read_buf, parts.io.into_inner()))
}
