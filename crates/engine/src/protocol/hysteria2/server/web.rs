//! Answers a web request over HTTP/3 as the site does.

use std::{future::Future, time::Duration};

use bytes::{Buf, BufMut, Bytes};
use h3::{error::Code, server::RequestStream};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::served::{WebAnswer, WebBody, adapt_head};

/// How long each step of an exchange may take: a piece of the request, the answer, or a piece of it.
const STEP: Duration = Duration::from_secs(30);
/// The longest body of a request, in bytes.
const MOST_BODY: usize = 64 << 10;

type ServerStream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// Reads the body of a request and sends the site's answer. What fails ends the exchange alone.
pub(super) async fn answer(web: &dyn WebAnswer, request: Request<()>, mut stream: ServerStream) {
    let body = match body(&mut stream).await {
        Some(Ok(body)) => body,
        Some(Err(TooLong)) => {
            let mut refusal = Response::new(());
            *refusal.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            adapt_head(refusal.headers_mut());
            let _ = step(stream.send_response(refusal)).await;
            let _ = step(stream.finish()).await;
            stream.stop_sending(Code::H3_NO_ERROR);
            return;
        }
        None => return,
    };
    let Ok(response) = timeout(STEP, web.answer(request.map(|()| body))).await else { return };
    if send(&mut stream, response).await.is_none() {
        stream.stop_stream(Code::H3_INTERNAL_ERROR);
    }
}

/// The body of a request is longer than is read.
struct TooLong;

async fn body(stream: &mut ServerStream) -> Option<Result<Bytes, TooLong>> {
    let mut body = Vec::new();
    while let Some(piece) = step(stream.recv_data()).await? {
        if body.len() + piece.remaining() > MOST_BODY {
            return Some(Err(TooLong));
        }
        body.put(piece);
    }
    Some(Ok(body.into()))
}

async fn send(stream: &mut ServerStream, response: Response<WebBody>) -> Option<()> {
    let (mut head, mut body) = response.into_parts();
    adapt_head(&mut head.headers);
    step(stream.send_response(Response::from_parts(head, ()))).await?;
    while let Some(frame) = timeout(STEP, body.frame()).await.ok()? {
        if let Ok(data) = frame.ok()?.into_data() {
            step(stream.send_data(data)).await?;
        }
    }
    step(stream.finish()).await
}

/// One step; `None` when it fails or takes too long.
async fn step<T, E>(step: impl Future<Output = Result<T, E>>) -> Option<T> {
    timeout(STEP, step).await.ok()?.ok()
}
