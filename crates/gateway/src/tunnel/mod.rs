//! Tunnels: the first exchange may still move to another node, then bytes flow until both sides are done.

use std::sync::Arc;

use hezar_core::Stage;
use hezar_engine::Stream;
use tokio::time::Instant;

use crate::{
    AttemptError, Refusal,
    access::Throttled,
    connections::EndSignal,
    context::Context,
    failover::{AttemptReport, Connected, Failover},
    relay::{End, relay},
    telemetry::{AccessLogEntry, GaugeGuard},
};

mod first_exchange;
mod replayed_flight;
#[cfg(test)]
mod tests;
mod transfer;

use first_exchange::{Established, NotEstablished, first_exchange};
use transfer::Transfer;

/// Runs a tunnel to its end, beginning with `connected`. A node proves itself with its first byte.
pub(crate) async fn tunnel<C>(
    context: &Arc<Context>,
    client: C,
    mut failover: Box<Failover>,
    connected: Connected,
    mut log_entry: AccessLogEntry,
) where
    C: Stream,
{
    let _open = GaugeGuard::new(&context.telemetry.metrics.tunnels);
    let client = Throttled::new(client, log_entry.admission());
    let end = log_entry.end();
    let config = context.config();
    let opened = tokio::select! {
        // In a box: the state of the first exchange would otherwise weigh on the tunnel as long as it lives.
        opened = Box::pin(first_exchange(&config, client, &mut failover, connected)) => opened,
        refusal = ended(context, &end) => {
            log_entry.answered(failover.attempts());
            log_entry.code = refusal.code();
            return;
        }
    };
    let attempts = failover.attempts();
    // Dials that nobody waits for any more end here.
    drop(failover);
    match opened {
        Ok(Established { mut client, mut node, lease, mut report, sent }) => {
            log_entry.served(&lease, attempts);
            log_entry.add_bytes(sent, 0);
            log_entry.code = carry(context, &mut client, &mut node, &log_entry, &mut report).await;
        }
        Err(NotEstablished::Silent(code)) => {
            log_entry.answered(attempts);
            log_entry.code = code;
        }
        Err(NotEstablished::Gone) => {}
        Err(NotEstablished::Refused(refusal)) => log_entry.refused(&refusal, attempts),
    }
}

/// Waits until the connection has to end before it has ended by itself, and says why.
pub(crate) async fn ended(context: &Context, end: &EndSignal) -> Refusal {
    tokio::select! {
        () = context.kill.cancelled() => Refusal::ShuttingDown,
        refusal = end.wait() => refusal,
    }
}

/// Moves the bytes of a tunnel, which are counted while they move; returns how it ended.
pub(crate) async fn carry<C, N>(
    context: &Context,
    client: &mut C,
    node: &mut N,
    log_entry: &AccessLogEntry,
    report: &mut AttemptReport,
) -> &'static str
where
    C: Stream + ?Sized,
    N: Stream + ?Sized,
{
    let end = log_entry.end();
    let (mut transfer, mut bytes) = (Transfer::default(), 0_u64);
    let moved = |up, down, first| {
        log_entry.add_bytes(up, down);
        bytes = bytes.saturating_add(up + down);
        if first {
            report.succeeded();
        }
        if let Some(speed) = transfer.add(up + down, Instant::now()) {
            report.moved_at(speed);
        }
    };
    let end = tokio::select! {
        // First, so that nothing more moves once a quota is used up.
        biased;
        refusal = ended(context, &end) => Err(refusal),
        end = relay(client, node, context.config().idle_timeout, moved, || log_entry.allowance()) => Ok(end),
    };
    report.moved(bytes);
    match end {
        Err(refusal) => refusal.code(),
        // A client that hangs up is no failure of anybody.
        Ok(End::Closed | End::Client) => "ok",
        Ok(End::Idle) => "idle",
        Ok(End::Node(error)) => {
            let fail = AttemptError::from_stream(Stage::Relay, &error);
            report.failed(&fail);
            fail.code.as_str()
        }
    }
}
