//! Server-sent events: what happens, as it happens.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast::Receiver},
    time::{Instant, sleep_until},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    ApiError, EventData, EventsQuery, Topic,
    events::{Event, Subscription},
    input::{Parameters, parameters},
    state::ApiState,
};

/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long one stream lasts; the client comes back with `Last-Event-ID`, and its token is checked again.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What one client reads.
struct Reader {
    state: ApiState,
    topics: Vec<Topic>,
    /// Events that were missed, which come first.
    missed: VecDeque<Arc<Event>>,
    reset: bool,
    receiver: Receiver<Arc<Event>>,
    end: Instant,
    _place: OwnedSemaphorePermit,
}

/// What happens, as it happens: server-sent events, each with an id, its topic as its name, and one line of JSON.
///
/// A client that comes back with the header `Last-Event-ID` gets what it has missed; where that is not kept any more it gets an event
/// named `reset` first. A client that reads too slowly is cut off.
#[utoipa::path(
    get, path = "/events", operation_id = "watch_events", tag = "status",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has read")),
    responses((status = 200, body = EventData, content_type = "text/event-stream"))
)]
async fn events(
    State(state): State<ApiState>,
    query: Parameters<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let topics = read_topics(parameters(query)?.topics.as_deref())?;
    let place = Arc::clone(&state.readers).try_acquire_owned();
    let place = place.map_err(|_| ApiError::Busy("as many clients watch events as may"))?;
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let Subscription { missed, incomplete, receiver } = state.control.events().subscribe(last);
    let end = Instant::now() + LONGEST;
    let reader = Reader { state, topics, missed: missed.into(), reset: incomplete, receiver, end, _place: place };
    let stream = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let answer = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // A proxy in front must not collect events.
    Ok(([("x-accel-buffering", "no")], answer).into_response())
}

impl Reader {
    /// The next event that the client wants; `None` ends the stream.
    async fn next(&mut self) -> Option<sse::Event> {
        if std::mem::take(&mut self.reset) {
            return Some(sse::Event::default().event("reset").data("{}"));
        }
        loop {
            let event = match self.missed.pop_front() {
                Some(event) => event,
                None => tokio::select! {
                    // One that lags behind is cut off: it comes back and gets what is kept.
                    event = self.receiver.recv() => event.ok()?,
                    () = sleep_until(self.end) => return None,
                    () = self.state.stop.cancelled() => return None,
                },
            };
            if self.topics.contains(&event.topic) {
                let id = self.state.control.events().event_id(event.number);
                return Some(sse::Event::default().id(id).event(event.topic.name()).data(&event.data));
            }
        }
    }
}

fn read_topics(text: Option<&str>) -> Result<Vec<Topic>, ApiError> {
    let Some(text) = text else { return Ok(Topic::ALL.into_iter().filter(|topic| *topic != Topic::Log).collect()) };
    let read = |name: &str| {
        Topic::ALL.into_iter().find(|topic| topic.name() == name).ok_or_else(|| {
            let known = Topic::ALL.map(Topic::name).join(", ");
            ApiError::BadRequest(format!("topic {name:?} is not one of {known}"))
        })
    };
    text.split(',').map(read).collect()
}
