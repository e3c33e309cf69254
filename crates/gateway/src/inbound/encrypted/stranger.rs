//! What becomes of a connection that is no client's.

use std::{future::poll_fn, sync::Arc, time::Duration};

use hezar_engine::server::{SiteRelay, Stranger};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{context::Context, encrypted_inbound::EncryptedInbound, relay::poll_discard};

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
            if !matches!(poll_fn(|cx| poll_discard(&mut stream, cx, PIECE)).await, Ok(1..)) {
                return;
            }
        }
    };
    tokio::select! {
        _ = timeout_at(patience, listening) => {}
        () = context.drain.cancelled() => {}
    }
}
