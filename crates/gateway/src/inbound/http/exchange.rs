//! Sends one HTTP request over a node's stream and reads the head of the answer.

use std::sync::Arc;

use hezar_core::Stage;
use hezar_engine::{
    BoxStream, Cause,
    http::{LenientAnswers, MAX_ANSWER_HEAD},
};
use http::{Request, Response, header::UPGRADE};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::{
    request_head::MAX_LINES,
    upload::{AnswerEnd, StalledBy, UploadBody},
};
use crate::{
    AttemptError, FeedbackRule, Refusal,
    access::Throttled,
    connections::{Connection, MeteredStream, StreamMeter},
    context::Context,
    failover::ExchangeError,
};

/// The most that is read ahead from a node: the largest head of an answer, and something of its body.
const READ_AHEAD: usize = MAX_ANSWER_HEAD + 16 * 1024;

/// What HTTP is spoken over.
pub(in crate::inbound) type NodeIo = LenientAnswers<MeteredStream<Throttled<BoxStream>>>;

/// The head of an answer, and what belongs to its body.
pub(super) struct Answered<B> {
    pub response: Response<B>,
    pub meter: Arc<StreamMeter>,
    pub end: AnswerEnd,
    /// The rule of the listener that the answer fits.
    pub refused_by: Option<FeedbackRule>,
}

/// Sends `request` and waits for the head of the answer: for the time of a request's deadline from when the request has been sent,
/// whatever trickles in meanwhile.
pub(super) async fn exchange(
    context: &Arc<Context>,
    stream: Throttled<BoxStream>,
    request: Request<UploadBody>,
    connection: Option<&Arc<Connection>>,
) -> Result<Answered<Incoming>, ExchangeError<Request<UploadBody>>> {
    let (meter, upload) = (StreamMeter::new(), request.body().upload());
    if !request.body().is_end_stream() && !request.headers().contains_key(UPGRADE) {
        // It goes to one node only, and may take long.
        if let Some(connection) = connection {
            meter.attach(connection);
        }
    }
    let end = connection.map_or_else(CancellationToken::new, |connection| connection.end().clone());
    let permit = upload.clone();
    let stream = LenientAnswers::new(MeteredStream::new(stream, meter.clone()), MAX_ANSWER_HEAD)
        .with_continue(move || permit.permit_now());
    let mut builder = http1::Builder::new();
    builder.max_buf_size(READ_AHEAD).max_headers(MAX_LINES);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| AttemptError::from_stream(Stage::Exchange, &error))?;
    let (watcher, watched) = (context.clone(), meter.clone());
    context.tasks.spawn(async move {
        tokio::select! {
            // First, so that nothing more moves once a quota is used up.
            biased;
            () = end.cancelled() => {}
            // A failure reaches whoever waits for the answer or reads its body.
            _ = connection.with_upgrades() => {}
            () = watched.idle(watcher.config().idle_timeout) => {}
            () = watcher.kill.cancelled() => {}
        }
    });
    let answer = tokio::select! {
        answer = sender.try_send_request(request) => answer,
        stopped = upload.stalled(context.config().idle_timeout, context.config().deadline) => return Err(overdue_error(stopped)),
    };
    match answer {
        Ok(response) => {
            upload.answered(response.status());
            Ok(Answered { response, meter, end: AnswerEnd::new(upload), refused_by: None })
        }
        Err(mut error) => {
            let unsent = error.take_message();
            let fail = AttemptError::from_stream(Stage::Exchange, error.error());
            let client = upload.client_failed().map(|gone| match gone {
                true => Refusal::ClientGone,
                false => Refusal::BadRequest("the body of the request is malformed"),
            });
            Err(ExchangeError { error: fail, unsent, client })
        }
    }
}

fn overdue_error(stopped: StalledBy) -> ExchangeError<Request<UploadBody>> {
    let fail = AttemptError::new(Stage::Exchange, &Cause::Timeout, false);
    let client = (stopped == StalledBy::Client).then_some(Refusal::ClientTimeout);
    ExchangeError { error: fail, unsent: None, client }
}
