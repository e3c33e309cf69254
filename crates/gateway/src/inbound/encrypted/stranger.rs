//! What becomes of a connection that is no client's.

use std::{sync::Arc, time::Duration};

use hezar_engine::server::Stranger;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{context::Context, encrypted_inbound::EncryptedInbound};

/// How long a stranger is heard out.
const HEARD_OUT: Duration = Duration::from_secs(30);
/// Read at a time.
const PIECE: usize = 4096;

/// Lets a stranger have what the site of the inbound answers; where there is none, nothing is said at all.
pub(in crate::inbound) async fn serve(context: &Arc<Context>, inbound: &EncryptedInbound, stranger: Stranger) {
    let Some(fallback) = inbound.fallback() else { return hear_out(context, stranger).await };
    tokio::select! {
        () = fallback.serve(stranger.stream, context.config().idle_timeout) => {}
        () = context.drain.cancelled() => {}
    }
}

/// Says nothing, and hears the stranger out, so that nothing tells at which of its bytes it was found out.
async fn hear_out(context: &Arc<Context>, stranger: Stranger) {
    let Stranger { mut stream, .. } = stranger;
    let listening = async {
        let mut ignored = vec![0; PIECE];
        while matches!(stream.read(&mut ignored).await, Ok(1..)) {
            if !context.access.reject_budget.allows_read() {
                break;
            }
        }
    };
    tokio::select! {
        _ = timeout(HEARD_OUT, listening) => {}
        () = context.drain.cancelled() => {}
    }
    let _ = timeout(Duration::from_secs(2), stream.shutdown()).await;
}
