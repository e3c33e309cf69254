//! One connection with many requests: each of them is served in a task of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hezar_engine::server::{BoxSession, InboundRequest, SessionItem, StrangerReason, WebAnswer as _, WebRequest};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::requests;
use crate::{Refusal, context::Context, encrypted_inbound::EncryptedInbound, fallback::Fallback};

/// The most requests of one session at a time: as many as the streams of a client of Hysteria 2 (and of its own server), whose one
/// connection carries all that a phone does. The other protocols bound their streams themselves.
const MOST_REQUESTS: u32 = 1024;
/// The most of them that the fallback answers: one stranger must not take the places of all others.
const MOST_WEB_REQUESTS: usize = 64;
/// How long a stranger may take to read the answer to a web request: few places are for all of them.
const LONGEST_ANSWER: Duration = Duration::from_secs(600);

/// Serves a session until the client ends it. Once the listener accepts nobody any more, it ends when nothing runs in it.
pub(in crate::inbound) async fn serve(
    context: &Arc<Context>,
    inbound: Arc<EncryptedInbound>,
    mut session: BoxSession,
    client: SocketAddr,
) {
    let places = Arc::new(Semaphore::new(MOST_REQUESTS as usize));
    let web_places = Arc::new(Semaphore::new(MOST_WEB_REQUESTS));
    let mut closed = false;
    // Once for each connection, as for other inbounds.
    let mut is_noted = false;
    let mut note = |why: StrangerReason| {
        if !std::mem::replace(&mut is_noted, true) {
            context.note_rejected(client, &why.into());
        }
    };
    loop {
        // The session moves the bytes of its requests, too, so that it is asked for ever.
        let item = tokio::select! {
            item = session.next() => item,
            () = context.closed(), if !closed => {
                closed = true;
                session.go_away();
                continue;
            }
            _ = places.acquire_many(MOST_REQUESTS), if closed && !session.is_needed() => return,
        };
        match item {
            None => return,
            Some(SessionItem::Request(request)) => {
                let place = places.clone().try_acquire_owned().ok();
                let (context, inbound) = (context.clone(), inbound.clone());
                let owner = context.tasks.clone();
                owner.spawn(async move { serve_request(&context, &inbound, request, client, place).await });
            }
            Some(SessionItem::Stranger(why)) => note(why),
            Some(SessionItem::Web(request)) => {
                note(StrangerReason::Protocol);
                // Whoever asks for more than there is room for loses its request.
                let taken = [&places, &web_places].map(|places| Arc::clone(places).try_acquire_owned());
                if let ([Ok(place), Ok(web_place)], Some(fallback)) = (taken, inbound.fallback().cloned()) {
                    let kill = context.kill.clone();
                    context.tasks.spawn(async move {
                        let _places = (place, web_place);
                        kill.run_until_cancelled(timeout(LONGEST_ANSWER, answer(&fallback, *request))).await;
                    });
                }
            }
        }
    }
}

/// Lets the site of the inbound answer a web request.
async fn answer(fallback: &Fallback, request: WebRequest) {
    let WebRequest { request, responder } = request;
    let answer = fallback.answer(request).await;
    if let Err(error) = responder.respond(answer).await {
        tracing::trace!(%error, "a web request has lost its answer");
    }
}

/// Serves one request to its end, or refuses it when it has no place.
async fn serve_request(
    context: &Arc<Context>,
    inbound: &EncryptedInbound,
    request: InboundRequest,
    client: SocketAddr,
    place: Option<OwnedSemaphorePermit>,
) {
    let refusal = match &place {
        None => Some(Refusal::ConnectionLimit),
        Some(_) if context.drain.is_cancelled() => Some(Refusal::ShuttingDown),
        Some(_) => None,
    };
    if let Some(refusal) = refusal {
        return requests::refuse(context, inbound, request, client, &refusal).await;
    }
    requests::serve_to_end(context, inbound, request, client).await;
    drop(place);
}
