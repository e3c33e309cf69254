//! What an HTTP proxy gives away: a plain page that echoes the headers of requests is asked for through the proxy, in
//! absolute form as clients' plain requests travel, and compared with what it says of a direct request.

mod echo;
mod evidence;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{Host, Reach, Stage};
use hezar_engine::{
    Attempt, Cause, DialError, Dialer, TlsClients,
    http::{self, HttpRequest, RequestError, ResponseLimits},
};
use hezar_pool::{Anonymity, Need, Node};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use echo::Echo;
use evidence::{Baseline, Proxy, anonymity};

/// How long a page of a direct request counts: our own address may change.
const DIRECT_FRESH: Duration = Duration::from_secs(3600);
/// How long a direct request that failed is not repeated.
const DIRECT_RETRY: Duration = Duration::from_secs(300);

/// When the judge was last asked directly, and what it said.
type LastDirectAnswer = Option<(Instant, Option<Arc<Baseline>>)>;

/// A page that echoes the headers of requests. Its body is read up to 64 KiB.
#[derive(Debug)]
pub struct Judge {
    request: HttpRequest,
    tls: TlsClients,
    direct: Mutex<LastDirectAnswer>,
}

impl Judge {
    /// A judge at a plain `http` URL.
    ///
    /// # Errors
    /// [`RequestError::Scheme`] for `https`, to which no proxy can add anything; others when the URL cannot be asked for.
    pub fn new(url: &Url, tls: TlsClients) -> Result<Self, RequestError> {
        if url.scheme() != "http" {
            return Err(RequestError::Scheme);
        }
        Ok(Self { request: HttpRequest::of_url(url)?, tls, direct: Mutex::default() })
    }

    /// Whether a node gets plain requests for the judge in absolute form, so that it can add something.
    pub(crate) fn concerns<D>(&self, node: &Node<D>) -> bool {
        let need = Need::Plain { port: self.request.target().port(), allow_transparent: true };
        node.spec().is_http_proxy() && need.is_absolute(node.http_ability())
    }

    /// What a node gives away that comes out at `exit`, if that was just found out. The judge is asked directly first, through `direct`, if there is such a way and it has not
    /// been asked lately; each request has an attempt of its own.
    ///
    /// # Errors
    /// [`DialError`] when the page did not come through the node, or does not echo the request: then nothing is known.
    pub(crate) async fn anonymity<D>(
        &self,
        node: &Node<D>,
        exit: Option<IpAddr>,
        via: &dyn Dialer,
        direct: Option<Arc<dyn Dialer>>,
        attempt: impl Fn() -> Attempt,
    ) -> Result<Anonymity, DialError> {
        let baseline = match direct {
            Some(direct) => self.baseline(&*direct, &attempt).await,
            None => None,
        };
        let echo = self.fetch(via, &attempt()).await?;
        Ok(anonymity(&echo, &proxy(node, exit), baseline.as_deref()))
    }

    /// What the judge says of a direct request; nothing when it does not answer one.
    async fn baseline(&self, direct: &dyn Dialer, attempt: &impl Fn() -> Attempt) -> Option<Arc<Baseline>> {
        // One asks, the others wait for it.
        let mut asked = self.direct.lock().await;
        if let Some((at, known)) = &*asked
            && at.elapsed() < if known.is_some() { DIRECT_FRESH } else { DIRECT_RETRY }
        {
            return known.clone();
        }
        let page = self.fetch(direct, &attempt()).await;
        if let Err(error) = &page {
            tracing::debug!(code = error.code(), "the judge does not answer a direct request");
        }
        let known = page.ok().map(|echo| Arc::new(Baseline::of_direct(&echo)));
        *asked = Some((Instant::now(), known.clone()));
        known
    }

    async fn fetch(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Echo, DialError> {
        let answer = http::send(via, &self.tls, &self.request, attempt, ResponseLimits::default()).await?;
        if answer.status() != 200 {
            return Err(unexpected(format!("status {} instead of 200", answer.status())));
        }
        let echo = Echo::read(&answer.bytes().await?);
        // A page that does not show the Host that was sent shows no headers.
        let host = self.request.target().host().to_string();
        let shows_host =
            echo.values("host").any(|shown| shown.to_ascii_lowercase().contains(&host.to_ascii_lowercase()));
        if shows_host { Ok(echo) } else { Err(unexpected("the page does not echo the request's headers".to_owned())) }
    }
}

/// The addresses that a proxy may name without telling ours.
fn proxy<D>(node: &Node<D>, exit: Option<IpAddr>) -> Proxy {
    let servers = [&node.spec().server, node.spec().first_server()];
    let server = servers.into_iter().filter_map(|server| match server.host() {
        Host::Ip(address) => Some(address.to_canonical()),
        Host::Name(_) => None,
    });
    let servers: Vec<_> = server.collect();
    let is_near = node.on_loopback() || servers.iter().any(|address| Reach::of_address(*address) == Reach::Private);
    let exits = exit.or(node.record().exit_ip).map(|exit| exit.to_canonical());
    Proxy { own: servers.into_iter().chain(exits).collect(), is_near }
}

fn unexpected(what: String) -> DialError {
    DialError::new(Stage::Exchange, Cause::UnexpectedAnswer(what.into()))
}
