//! One HTTP exchange over one node's stream: the request out, the head of the answer back.

use std::sync::Arc;

use hezar_core::Stage;
use hezar_engine::BoxStream;
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::body::UpBody;
use crate::{
    course::{Broken, Fail},
    gateway::Shared,
    limits::Throttled,
    meter::{Meter, Metered},
};

/// The most that is read ahead from a node, head of the answer included.
const READ_AHEAD: usize = 64 * 1024;

/// What HTTP is spoken over.
pub(super) type NodeIo = Metered<Throttled<BoxStream>>;

/// Sends `request` and waits for the head of the answer, as long as bytes move at all.
pub(super) async fn exchange(
    shared: &Arc<Shared>,
    stream: Throttled<BoxStream>,
    request: Request<UpBody>,
) -> Result<(Response<Incoming>, Arc<Meter>), Broken<Request<UpBody>>> {
    let meter = Meter::new();
    let stream = TokioIo::new(Metered::new(stream, meter.clone()));
    let handshake = http1::Builder::new().max_buf_size(READ_AHEAD).handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| Fail::of_stream(Stage::Exchange, &error))?;
    let (watcher, watched) = (shared.clone(), meter.clone());
    shared.tasks.spawn(async move {
        tokio::select! {
            // A failure reaches whoever waits for the answer or reads its body.
            _ = connection.with_upgrades() => {}
            () = watched.idle(watcher.config.idle_timeout) => {}
            () = watcher.kill.cancelled() => {}
        }
    });
    match sender.try_send_request(request).await {
        Ok(response) => Ok((response, meter)),
        Err(mut error) => {
            let unsent = error.take_message();
            let fail = Fail::of_stream(Stage::Exchange, error.error());
            Err(Broken { fail, unsent })
        }
    }
}
