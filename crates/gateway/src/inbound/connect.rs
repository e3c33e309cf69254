//! Finds a node for a request whose client has said who it is and where it wants to go, whatever the protocol.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_core::Target;
use tokio::time::{Instant, sleep_until};

use super::ClientBuffer;
use crate::{
    Refusal,
    access::Identity,
    context::Context,
    failover::{Connected, Failover},
    telemetry::AccessLogEntry,
};

/// How long the client of an encrypted inbound waits for its answer before it is told that it is served, although no node is
/// connected yet: clients of AnyTLS give a session up that does not answer for 3 s.
const EARLY_GRANT: Duration = Duration::from_millis(2500);

/// A request that a node serves.
pub(super) struct ConnectedRequest {
    pub failover: Box<Failover>,
    pub connected: Connected,
    pub log_entry: AccessLogEntry,
}

/// Connects a node to the target, unless the client hangs up before.
///
/// # Errors
/// Why there is none, of which the log knows already; `None` when the client is gone.
pub(super) async fn connect(
    context: &Arc<Context>,
    buffer: &mut ClientBuffer,
    client: SocketAddr,
    identity: &Identity,
    target: &Target,
    mut log_entry: AccessLogEntry,
) -> Result<ConnectedRequest, Option<Refusal>> {
    log_entry.begin(identity, Some(target));
    let end = log_entry.end();
    let mut failover = Box::new(Failover::new(&context.selection, identity, client.ip(), target));
    let (early, mut may_grant) = (Instant::now() + EARLY_GRANT, buffer.is_unwrapped());
    let connected = loop {
        tokio::select! {
            biased;
            connected = failover.connect_next() => break connected,
            // The entry in the log says that the client is gone.
            () = buffer.client_hung_up() => return Err(None),
            refusal = end.wait() => break Err(refusal),
            () = sleep_until(early), if may_grant => {}
        }
        may_grant = false;
        if buffer.grant().await.is_err() {
            return Err(None);
        }
    };
    match connected {
        Ok(connected) => {
            log_entry.connected(&connected.lease, failover.attempts());
            Ok(ConnectedRequest { failover, connected, log_entry })
        }
        Err(refusal) => {
            log_entry.refused(&refusal, failover.attempts());
            Err(Some(refusal))
        }
    }
}
