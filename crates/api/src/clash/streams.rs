//! Streams: a line of JSON again and again until the client goes, over a WebSocket or in a body of chunks.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        FromRequestParts, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    ClashState,
    reply::{ClashError, json_line, json_text},
};
use crate::{Control, connection_slots::HeldSlots};

/// The most streams at a time; a dashboard has four.
const MOST: usize = 256;
/// The largest message that is read of a client, which has nothing to say.
const MAX_MESSAGE: usize = 4096;
/// After so much silence on both sides a client is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);
/// How often totals are sent. Dashboards drop what comes faster than ten times a second.
const EVERY: Duration = Duration::from_secs(1);

/// The places for streams.
#[derive(Clone)]
pub(super) struct StreamPlaces(Arc<Semaphore>);

impl Default for StreamPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Who reads a stream: over a WebSocket, or in a body of chunks.
pub(super) struct StreamReader {
    websocket: Option<WebSocketUpgrade>,
    held: Option<HeldSlots>,
}

impl StreamReader {
    pub(super) const fn is_websocket(&self) -> bool {
        self.websocket.is_some()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StreamReader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let held = parts.extensions.get().cloned();
        Ok(Self { websocket: WebSocketUpgrade::from_request_parts(parts, state).await.ok(), held })
    }
}

pub(super) fn routes() -> Router<ClashState> {
    Router::new().route("/traffic", get(traffic)).route("/memory", get(memory))
}

/// Sends lines until the client goes, they end, or the instance stops.
pub(super) fn send(
    state: &ClashState,
    reader: StreamReader,
    lines: impl Stream<Item = String> + Send + 'static,
) -> Result<Response, ClashError> {
    let place = Arc::clone(&state.places.0).try_acquire_owned();
    let full = || ClashError(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open".to_owned());
    let place = place.map_err(|_| full())?;
    let lines = lines.take_until(state.api.stop.clone().cancelled_owned());
    if let Some(websocket) = reader.websocket {
        let websocket = websocket.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
        return Ok(websocket.on_upgrade(move |socket| {
            // Every tab of a dashboard keeps four of them open: they have places of their own, and leave those of
            // connections to requests.
            if let Some(held) = reader.held {
                held.release();
            }
            over_websocket(socket, lines, place)
        }));
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
        let sent = tokio::select! {
            line = lines.next() => match line {
                Some(line) => socket.send(Message::Text(line.trim_end().into())).await,
                None => return,
            },
            message = socket.recv() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return,
                Some(Ok(_)) => Ok(()),
            },
            // A client that has vanished without a word is noticed when nothing acknowledges this.
            () = sleep(SILENCE) => socket.send(Message::Ping(Bytes::new())).await,
        };
        if sent.is_err() {
            return;
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

async fn traffic(State(state): State<ClashState>, reader: StreamReader) -> Result<Response, ClashError> {
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
    send(&state, reader, lines)
}

async fn memory(State(state): State<ClashState>, reader: StreamReader) -> Result<Response, ClashError> {
    let control: Arc<dyn Control> = state.api.control.clone();
    let lines = each_second(move || json_line(&json!({ "inuse": control.resident_memory(), "oslimit": 0 })));
    send(&state, reader, lines)
}
