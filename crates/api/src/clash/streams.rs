//! Answers without end: a line of JSON again and again, over a WebSocket or in a body of chunks.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{
    ClashState,
    reply::{ClashError, json_line, json_text},
};
use crate::Control;

/// The most streams at a time; a dashboard has four.
const MOST: usize = 256;
/// The largest message that is read of a client, which has nothing to say.
const MAX_MESSAGE: usize = 4096;
/// How often totals are sent. Dashboards drop what comes faster than ten times a second.
const EVERY: Duration = Duration::from_secs(1);

/// The places for streams.
#[derive(Clone)]
pub(super) struct Sockets(Arc<Semaphore>);

impl Default for Sockets {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// The request for a WebSocket, if it is one.
pub(super) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub(super) fn routes() -> Router<ClashState> {
    Router::new().route("/traffic", get(traffic)).route("/memory", get(memory))
}

/// Sends lines until the client goes, they end, or the instance stops.
pub(super) fn send(
    state: &ClashState,
    upgrade: Upgrade,
    lines: impl Stream<Item = String> + Send + 'static,
) -> Result<Response, ClashError> {
    let (sockets, stop) = (&state.sockets, &state.api.stop);
    let place = Arc::clone(&sockets.0).try_acquire_owned();
    let full = || ClashError(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open".to_owned());
    let place = place.map_err(|_| full())?;
    let lines = lines.take_until(stop.clone().cancelled_owned());
    if let Ok(upgrade) = upgrade {
        let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
        return Ok(upgrade.on_upgrade(move |socket| over_websocket(socket, lines, place)));
    }
    let chunks = lines.map(move |line| {
        // The place is free when the body is dropped.
        let _held = &place;
        Ok::<_, Infallible>(Bytes::from(line))
    });
    Ok(json_text(Body::from_stream(chunks)).into_response())
}

async fn over_websocket(
    mut socket: WebSocket,
    lines: impl Stream<Item = String> + Send + 'static,
    _place: OwnedSemaphorePermit,
) {
    let mut lines = pin!(lines);
    loop {
        tokio::select! {
            line = lines.next() => {
                let Some(line) = line else { return };
                if socket.send(Message::Text(line.trim_end().into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

/// A clock that ticks now and then after each period, and makes up for nothing that it missed.
pub(super) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A line at each tick.
fn each_second(make: impl FnMut() -> String + Send + 'static) -> impl Stream<Item = String> + Send + 'static {
    stream::unfold((ticks(EVERY), make), |(mut ticks, mut make)| async move {
        ticks.tick().await;
        let line = make();
        Some((line, (ticks, make)))
    })
}

async fn traffic(State(state): State<ClashState>, upgrade: Upgrade) -> Result<Response, ClashError> {
    let control: Arc<dyn Control> = state.api.control.clone();
    let mut last = (Instant::now(), control.traffic());
    let lines = each_second(move || {
        let (then, before) = last;
        let now = control.traffic();
        last = (Instant::now(), now);
        let seconds = then.elapsed().as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        json_line(&json!({
            "up": rate(now.up, before.up),
            "down": rate(now.down, before.down),
            "upTotal": now.up,
            "downTotal": now.down,
        }))
    });
    send(&state, upgrade, lines)
}

async fn memory(State(state): State<ClashState>, upgrade: Upgrade) -> Result<Response, ClashError> {
    let control: Arc<dyn Control> = state.api.control.clone();
    let lines = each_second(move || json_line(&json!({ "inuse": control.resident_memory(), "oslimit": 0 })));
    send(&state, upgrade, lines)
}
