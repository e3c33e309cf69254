//! What becomes of a connection that is no client's.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use hezar_engine::{
    BoxStream,
    server::{SiteRelay, Stranger},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, sleep, timeout_at},
};

use crate::{context::Context, encrypted_inbound::EncryptedInbound};

/// Read at a time.
const PIECE: usize = 4096;
/// How long nothing is read once too much has been read of strangers, all of them together.
const PAUSE: Duration = Duration::from_millis(500);

/// Lets a stranger have what the site of the inbound answers, if it asks for something before `patience` ends. Where there is no site,
/// nothing is said at all until then.
pub(in crate::inbound) async fn serve(
    context: &Arc<Context>,
    inbound: &EncryptedInbound,
    stranger: Stranger,
    patience: Instant,
) {
    let Some(fallback) = inbound.fallback() else { return hear_out(context, stranger, patience).await };
    tokio::select! {
        () = fallback.serve(stranger.stream, patience, context.config().idle_timeout) => {}
        () = context.drain.cancelled() => {}
    }
}

/// Lets a stranger go on with the site that it talks to.
pub(in crate::inbound) async fn relay(context: &Arc<Context>, relay: SiteRelay) {
    tokio::select! {
        () = relay.run => {}
        () = context.drain.cancelled() => {}
    }
}

/// Says nothing, and hears the stranger out for as long as a client that has sent half of its request: nothing tells what is
/// wrong with a request, and how long a good one is.
async fn hear_out(context: &Arc<Context>, stranger: Stranger, patience: Instant) {
    let Stranger { mut stream, .. } = stranger;
    let listening = async {
        loop {
            // Hanging up on those who send much would tell them that nobody reads it.
            while !context.access.reject_budget.allows_read() {
                sleep(PAUSE).await;
            }
            if !poll_fn(|cx| poll_ignore(&mut stream, cx)).await {
                return;
            }
        }
    };
    tokio::select! {
        _ = timeout_at(patience, listening) => {}
        () = context.drain.cancelled() => {}
    }
}

/// Reads a piece and forgets it. False at the end. There is a buffer only while there is something to read, since strangers are many.
fn poll_ignore(stream: &mut BoxStream, cx: &mut std::task::Context<'_>) -> Poll<bool> {
    let mut piece = [0; PIECE];
    let mut ignored = ReadBuf::new(&mut piece);
    let read = ready!(Pin::new(stream).poll_read(cx, &mut ignored));
    Poll::Ready(read.is_ok() && !ignored.filled().is_empty())
}
