//! HTTP proxy outbound, plain or over TLS: CONNECT (RFC 9110 §9.3.6), and absolute form for plain requests.

#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use hezar_core::{HttpProxy, Stage, Target};
use http::HeaderValue;
use tokio::io::AsyncWriteExt;

use crate::{
    Attempt, BoxStream, BuildError, Cause, DialError, Dialer, RequestForm,
    io::{http_head, prefixed::Prefixed},
    transport::TransportConnector,
};

/// One HTTP proxy.
struct Http {
    /// The value of `Proxy-Authorization`.
    authorization: Option<HeaderValue>,
    connector: TransportConnector,
}

/// Builds the dialer; `connector` opens streams to the server, over TLS for an `https` proxy.
///
/// # Errors
/// [`BuildError::Invalid`] for a user name with a colon, which Basic cannot carry (RFC 7617 §2).
pub(crate) fn build(settings: &HttpProxy, connector: TransportConnector) -> Result<Arc<dyn Dialer>, BuildError> {
    let authorization = match &settings.credentials {
        Some(credentials) if credentials.username.contains(':') => {
            return Err(BuildError::Invalid("a user name for HTTP holds a colon"));
        }
        Some(credentials) => Some(wire::authorization(&credentials.username, credentials.password.expose())?),
        None => None,
    };
    Ok(Arc::new(Http { authorization, connector }))
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for Http {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.connector.open(attempt).await?;
        attempt.stage(Stage::Handshake, self.handshake(stream, target)).await
    }

    /// The proxy itself answers a plain request. It is asked in absolute form, as by every HTTP client.
    async fn connect_for_http(&self, _: &Target, attempt: &Attempt) -> Result<(BoxStream, RequestForm), DialError> {
        let stream = self.connector.open(attempt).await?;
        Ok((stream, RequestForm::Absolute { authorization: self.authorization.clone() }))
    }
}

impl Http {
    async fn handshake(&self, mut stream: BoxStream, target: &Target) -> Result<BoxStream, Cause> {
        stream.write_all(&wire::request(target, self.authorization.as_ref())).await?;
        stream.flush().await?;
        let mut rest = BytesMut::new();
        let answer = http_head::read(&mut stream, &mut rest).await?;
        wire::verdict(answer.status)?;
        // A target that sends first may have sent bytes already.
        Ok(if rest.is_empty() { stream } else { Box::new(Prefixed::new(rest.freeze(), stream)) })
    }
}
