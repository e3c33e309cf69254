//! XHTTP over HTTP/2: every request of a stream on the node's shared connections.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use h2::SendStream;
use http::Request;

use super::{
    plan::{Plan, Purpose},
    upload::{NEW_CONNECTION, PaddingLength, Post},
};
use crate::{
    Attempt, Cause,
    security::SecureConnector,
    transport::{
        http2_body::cause_of,
        http2_pool::{Exchange, Http2Pool, StreamPermit},
    },
};

/// The upload requests under way at the same time.
pub(super) const AT_ONCE: usize = 4;

/// Sends pieces of one session's upload.
pub(super) struct Posts {
    pub(super) plan: Arc<Plan>,
    pub(super) session: Arc<str>,
    pub(super) connections: Arc<Http2Pool>,
    pub(super) connector: Arc<SecureConnector>,
    /// Where the last one went.
    pub(super) permit: Arc<StreamPermit>,
}

impl Post for Posts {
    const AT_ONCE: usize = AT_ONCE;

    fn post(&mut self, number: u64, body: Bytes) -> impl Future<Output = Result<(), Cause>> + Send + 'static {
        let purpose = Purpose::Piece { session: &self.session, number, length: body.len() };
        let head = self.plan.head(purpose, true);
        // Asked for here, so that the requests leave in the order of their numbers.
        let exchange = if self.permit.is_worn_out() { None } else { self.permit.request(head.clone(), false).ok() };
        let (connections, connector, permit) =
            (Arc::clone(&self.connections), Arc::clone(&self.connector), Arc::clone(&self.permit));
        async move {
            match exchange {
                Some(exchange) => send(exchange, body, &permit).await,
                None => resend(&connections, &connector, &head, body).await,
            }
        }
    }
}

/// Sends it over another connection.
async fn resend(
    connections: &Http2Pool,
    connector: &SecureConnector,
    head: &Request<()>,
    body: Bytes,
) -> Result<(), Cause> {
    let attempt = Attempt::within(NEW_CONNECTION);
    let (permit, exchange) =
        connections.request(connector, head, false, &attempt).await.map_err(|error| error.cause)?;
    send(exchange, body, &permit).await
}

async fn send(exchange: Exchange, body: Bytes, permit: &StreamPermit) -> Result<(), Cause> {
    let Exchange { answer, mut upload } = exchange;
    let sending = send_body(&mut upload, body);
    // A server may answer before it has heard all; what it says then counts.
    tokio::pin!(answer);
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        sent = sending => match sent {
            Ok(()) => answer.await,
            Err(cause) => return Err(answer.await.map_or(cause, |answer| refusal(answer.status().as_u16()))),
        }
    };
    let answer = answer.map_err(cause_of)?;
    permit.answered();
    if answer.status() != 200 {
        return Err(refusal(answer.status().as_u16()));
    }
    let mut body = answer.into_body();
    let mut said = PaddingLength::default();
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
        said.heard(bytes.len())?;
    }
    Ok(())
}

const fn refusal(status: u16) -> Cause {
    if status == 200 { Cause::Closed } else { Cause::TransportStatus(status) }
}

async fn send_body(upload: &mut SendStream<Bytes>, mut body: Bytes) -> Result<(), Cause> {
    while !body.is_empty() {
        if upload.capacity() == 0 {
            upload.reserve_capacity(body.len());
            if upload.capacity() == 0 {
                poll_fn(|cx| upload.poll_capacity(cx)).await.ok_or(Cause::Reset)?.map_err(cause_of)?;
                continue;
            }
        }
        let piece = body.split_to(body.len().min(upload.capacity()));
        let last = body.is_empty();
        upload.send_data(piece, last).map_err(cause_of)?;
    }
    Ok(())
}
