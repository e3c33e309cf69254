//! HTTP/2 (`type=http`, `h2`): the body of a request is one direction of the stream, the body of its answer the other.
//!
//! Without TLS it begins with HTTP/2 at once, as v2ray's and sing-box's servers expect.

#[cfg(test)]
mod tests;

use hezar_core::{Host, Http2};
use http::{HeaderValue, Request, header::USER_AGENT};

use super::{
    http1,
    http2_body::Raw,
    http2_pool::{Http2Pool, Limits, MuxStream, request},
};
use crate::{Attempt, BoxStream, BuildError, DialError, budget::ConnectionBudget, security::SecureConnector};

/// The prepared HTTP/2 settings of one node, and its connections.
#[derive(Debug)]
pub(super) struct Http2Client {
    /// One for each authority.
    requests: Vec<Request<()>>,
    connections: Http2Pool,
}

impl Http2Client {
    /// Prepares the requests. Without a published host the authority is the TLS server name, else the server's host.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when HTTP cannot carry the path.
    pub(super) fn new(
        settings: &Http2,
        sni: Option<&str>,
        server: &Host,
        secure: bool,
        budget: ConnectionBudget,
    ) -> Result<Self, BuildError> {
        let path = http1::path(&settings.path);
        let hosts: Vec<Option<&str>> = match settings.hosts.as_slice() {
            [] => vec![None],
            hosts => hosts.iter().map(|host| Some(host.as_ref())).collect(),
        };
        let mut requests = Vec::with_capacity(hosts.len());
        for host in hosts {
            let mut request = request("PUT", secure, &[host, sni], server, &path)?;
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(http1::USER_AGENT));
            requests.push(request);
        }
        Ok(Self { requests, connections: Http2Pool::new(Limits::default(), budget) })
    }

    /// Sends one of the requests.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn open(&self, connector: &SecureConnector, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let number = rand::random_range(0..self.requests.len().max(1));
        let request = self.requests.get(number).cloned().unwrap_or_default();
        let (permit, exchange) = self.connections.request(connector, &request, false, attempt).await?;
        Ok(Box::new(MuxStream::new(permit, exchange, Raw)))
    }
}
