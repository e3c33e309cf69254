//! HTTP to an ACME server: one request a connection, over TLS that is checked against the public roots and those of the settings.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use hezar_core::{Host, Target};
use hezar_engine::{Attempt, Dialer, TlsClients};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::time::timeout;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer, in bytes; certificate chains have a few KiB.
const MAX_ANSWER: usize = 1 << 20;

/// Sends the requests of one ACME client.
#[derive(Clone)]
pub(super) struct DirectoryClient {
    dialer: Arc<dyn Dialer>,
    tls: TlsClients,
}

impl DirectoryClient {
    pub(super) const fn new(dialer: Arc<dyn Dialer>, tls: TlsClients) -> Self {
        Self { dialer, tls }
    }

    async fn exchange(self, mut request: Request<BodyWrapper<Bytes>>) -> anyhow::Result<BytesResponse> {
        let target = target(request.uri())?;
        let attempt = Attempt::within(TIMEOUT);
        let stream = self.dialer.connect(&target, &attempt).await?;
        let stream = self.tls.wrap_target(stream, target.host(), &attempt).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        request.headers_mut().insert(header::HOST, host.parse()?);
        request.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        *request.uri_mut() =
            request.uri().path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow!(error))?;
            anyhow::Ok(BytesResponse::from(Response::from_parts(head, Full::new(body.to_bytes()))))
        };
        // The connection only works while it is polled, and ends with the answer.
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    }
}

impl HttpClient for DirectoryClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let place = request.uri().to_string();
            let answer = timeout(TIMEOUT, client.exchange(request)).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", TIMEOUT.as_secs())));
            // Failures of dialling name their causes themselves.
            answer.map_err(|error| Error::Other(format!("{place}: {error}").into()))
        })
    }
}

/// Where a request goes.
fn target(uri: &Uri) -> anyhow::Result<Target> {
    ensure!(uri.scheme_str() == Some("https"), "an ACME server is reached over https alone");
    let host = uri.host().context("the address has no host")?;
    Ok(Target::new(Host::new(host)?, uri.port_u16().unwrap_or(443))?)
}
