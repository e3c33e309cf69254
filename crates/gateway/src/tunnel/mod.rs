//! A connected client and a connected node: the first flight may still go elsewhere, then bytes flow until both are done.

use std::sync::Arc;

use hezar_core::Stage;
use hezar_engine::Stream;

use crate::{
    Refusal,
    course::{Course, Fail, Route, Verdict},
    gateway::Shared,
    journal::Journal,
    limits::Throttled,
    metrics::Raised,
    relay::{Counts, End, relay},
};

mod ask;
mod opening;
#[cfg(test)]
mod tests;

use opening::{Opened, Unopened, open};

/// Runs a tunnel to its end, beginning with `route`. A node proves itself with its first byte.
pub(crate) async fn tunnel<C>(shared: &Arc<Shared>, client: C, mut course: Course, route: Route, mut journal: Journal)
where
    C: Stream,
{
    let _open = Raised::new(&shared.metrics.tunnels);
    let client = Throttled::new(client, journal.pass());
    let node = route.lease.id();
    let opened = tokio::select! {
        // In a box: the state of the opening would otherwise weigh on the tunnel as long as it lives.
        opened = Box::pin(open(shared, client, &mut course, route)) => opened,
        () = shared.kill.cancelled() => {
            journal.served(node, course.attempts());
            journal.code = Refusal::ShuttingDown.code();
            return;
        }
    };
    let attempts = course.attempts();
    // Dials that nobody waits for any more end here.
    drop(course);
    match opened {
        Ok(Opened { mut client, mut node, lease, mut verdict, sent }) => {
            journal.served(lease.id(), attempts);
            journal.counts.up += sent;
            journal.code = carry(shared, &mut client, &mut node, &mut journal.counts, &mut verdict).await;
        }
        Err(Unopened::Silent(code)) => {
            journal.served(node, attempts);
            journal.code = code;
        }
        Err(Unopened::Gone) => {}
        Err(Unopened::Refused(refusal)) => journal.refused(&refusal, attempts),
    }
}

/// The bytes of a tunnel, added to `counts` and to the metrics while they move; returns how it ended.
pub(crate) async fn carry<C, N>(
    shared: &Shared,
    client: &mut C,
    node: &mut N,
    counts: &mut Counts,
    verdict: &mut Verdict,
) -> &'static str
where
    C: Stream + ?Sized,
    N: Stream + ?Sized,
{
    counts.tell(&shared.metrics);
    let moved = |counts: &mut Counts, first| {
        counts.tell(&shared.metrics);
        if first {
            verdict.good();
        }
    };
    let end = tokio::select! {
        end = relay(client, node, shared.config.idle_timeout, counts, moved) => end,
        () = shared.kill.cancelled() => return Refusal::ShuttingDown.code(),
    };
    match end {
        // A client that hangs up is no failure of anybody.
        End::Closed | End::Client => "ok",
        End::Idle => "idle",
        End::Node(error) => {
            let fail = Fail::of_stream(Stage::Relay, &error);
            verdict.bad(&fail);
            fail.code
        }
    }
}
