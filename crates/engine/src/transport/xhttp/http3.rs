//! XHTTP over HTTP/3: every request of a stream on the node's shared connections.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    http2,
    plan::{Plan, Purpose},
    upload::{NEW_CONNECTION, PaddingLength, Post},
};
use crate::{
    Attempt, Cause,
    quic::QuicStream,
    transport::http3::{Http3Pool, Http3Stream},
};

/// Sends pieces of one session's upload.
pub(super) struct Posts {
    pub(super) plan: Arc<Plan>,
    pub(super) session: Arc<str>,
    pub(super) connections: Arc<Http3Pool>,
}

impl Post for Posts {
    const AT_ONCE: usize = http2::AT_ONCE;

    fn post(&mut self, number: u64, body: Bytes) -> impl Future<Output = Result<(), Cause>> + Send + 'static {
        let purpose = Purpose::Piece { session: &self.session, number, length: body.len() };
        let head = self.plan.head(purpose, true);
        let connections = Arc::clone(&self.connections);
        async move {
            let attempt = Attempt::within(NEW_CONNECTION);
            let mut stream = connections.request(&head, false, &attempt).await.map_err(|error| error.cause)?;
            let sent = send(&mut stream, &body).await;
            match (read_answer(&mut stream).await, sent) {
                // A server may answer before it has heard all; what it says then counts.
                (Ok(()), Err(error)) => Err(error.into()),
                (heard, _) => heard,
            }
        }
    }
}

async fn send(stream: &mut Http3Stream<QuicStream>, body: &[u8]) -> io::Result<()> {
    stream.write_all(body).await?;
    stream.shutdown().await
}

async fn read_answer(stream: &mut Http3Stream<QuicStream>) -> Result<(), Cause> {
    let (mut sink, mut said) = ([0; 512], PaddingLength::default());
    loop {
        match stream.read(&mut sink).await? {
            0 => return Ok(()),
            length => said.heard(length)?,
        }
    }
}
