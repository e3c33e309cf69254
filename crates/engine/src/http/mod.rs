//! One HTTP/1.1 exchange over any dialer, for probes and for fetching lists.
//!
//! No redirects, no connection kept, no decompression: a caller who wants them does them. Nothing runs in the
//! background: dropping the [`HttpResponse`] closes the connection.

mod head_end;
mod lenient;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::future::poll_fn;

use bytes::Bytes;
use hezar_core::Stage;
use http_body_util::Full;
use hyper::client::conn::http1::{self, Connection};
use hyper_util::rt::TokioIo;

pub use head_end::head_end;
#[cfg(feature = "fuzzing")]
pub(crate) use lenient::decode as decode_answer;
pub use lenient::{AnswerHeads, LenientAnswers, MAX_ANSWER_HEAD};
pub use request::{HttpRequest, RequestError, ResponseLimits};
pub use response::HttpResponse;

use crate::{Attempt, BoxStream, Cause, DialError, Dialer, RequestForm, TlsClients};

type Wire = Connection<TokioIo<LenientAnswers<BoxStream>>, Full<Bytes>>;

/// Sends one request through `dialer` and reads the answer's head; the body is read from the [`HttpResponse`].
///
/// For `https` the certificate is fully verified against the public roots and those that `tls` was made with; the name
/// of the URL goes to the dialer unresolved. Through an HTTP proxy a plain request travels in absolute form. The attempt bounds everything, the body included. No TLS session is resumed:
/// a target could tell by one that the requests of several nodes, and our own, come from one client.
///
/// # Errors
/// [`DialError`]: the dialer's own, or at [`Stage::Exchange`] what went wrong between us and the target
/// ([`Cause::Certificate`], [`Cause::Tls`], [`Cause::UnexpectedAnswer`] for what is not HTTP, a closed connection, …).
pub async fn send(
    dialer: &dyn Dialer,
    tls: &TlsClients,
    request: &HttpRequest,
    attempt: &Attempt,
    limits: ResponseLimits,
) -> Result<HttpResponse, DialError> {
    let (stream, form) = if request.is_https() {
        let stream = dialer.connect(request.target(), attempt).await?;
        (tls.wrap_target(stream, request.target().host(), attempt).await?, RequestForm::Origin)
    } else {
        dialer.connect_for_http(request.target(), attempt).await?
    };
    let answer = attempt.stage(Stage::Exchange, exchange(stream, request, &form, *attempt, limits)).await?;
    if form.is_absolute() && answer.status() == 407 {
        // Only the proxy itself asks for its password.
        return Err(DialError::new(Stage::Handshake, Cause::Authentication));
    }
    Ok(answer)
}

async fn exchange(
    stream: BoxStream,
    request: &HttpRequest,
    form: &RequestForm,
    attempt: Attempt,
    limits: ResponseLimits,
) -> Result<HttpResponse, Cause> {
    let builder = {
        let mut builder = http1::Builder::new();
        // The lenient reader keeps the bounds; hyper's must only not be smaller.
        builder.max_buf_size(2 * limits.head.max(8192)).max_headers(1000);
        builder
    };
    let stream = LenientAnswers::new(stream, limits.head);
    let (mut sender, mut wire) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| cause_of(&error))?;
    let mut answer = std::pin::pin!(sender.send_request(request.to_hyper(form)));
    // The connection does the work; whoever waits for the answer drives it.
    let mut running = true;
    let answer = poll_fn(|cx| {
        if running && let std::task::Poll::Ready(_ended) = std::pin::Pin::new(&mut wire).poll(cx) {
            running = false;
        }
        answer.as_mut().poll(cx)
    });
    let answer = answer.await.map_err(|error| cause_of(&error))?;
    Ok(HttpResponse::new(answer, running.then_some(wire), request.is_https(), attempt, limits))
}

/// What hyper stumbled over: the stream's own failure, or an answer that is not HTTP.
fn cause_of(error: &hyper::Error) -> Cause {
    use std::{error::Error, io};
    if let Some(error) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return response::cause_of_io(error);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Cause::Closed;
    }
    Cause::UnexpectedAnswer(error.to_string().into())
}
