//! A connected client and a connected node: bytes flow until both are done.

use hezar_core::Stage;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Refusal,
    course::{Fail, Route, Verdict},
    gateway::Shared,
    journal::Journal,
    metrics::Raised,
    relay::{Counts, End, relay},
};

/// Runs a tunnel over `route` to its end. The node proves itself with its first byte.
pub(crate) async fn tunnel<C>(shared: &Shared, mut client: C, route: Route, mut journal: Journal)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let Route { mut stream, lease: _lease, mut verdict } = route;
    let code = carry(shared, &mut client, &mut *stream, &mut journal.counts, &mut verdict).await;
    journal.code = code;
}

/// The bytes of a tunnel; returns how it ended.
pub(crate) async fn carry<C, N>(
    shared: &Shared,
    client: &mut C,
    node: &mut N,
    counts: &mut Counts,
    verdict: &mut Verdict,
) -> &'static str
where
    C: AsyncRead + AsyncWrite + Unpin + ?Sized,
    N: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let _open = Raised::new(&shared.metrics.tunnels);
    let end = tokio::select! {
        end = relay(client, node, shared.config.idle_timeout, counts, || verdict.good()) => end,
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
