//! Answers challenges over HTTP (HTTP-01, RFC 8555, section 8.3) while an order is under way.

use std::{collections::HashMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// Where a server looks for the answer.
const PATH: &str = "/.well-known/acme-challenge/";
/// Connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may last.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8 << 10;

/// The texts that answer challenges, by their tokens.
pub(super) type Answers = Arc<HashMap<String, String>>;

/// Answers at an address until what this returns is dropped.
///
/// # Errors
/// The address cannot be bound.
pub(super) async fn serve(address: SocketAddr, answers: Answers) -> anyhow::Result<AbortOnDropHandle<()>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (acme_http) for the challenge"))?;
    Ok(AbortOnDropHandle::new(tokio::spawn(accept(listener, answers))))
}

async fn accept(listener: TcpListener, answers: Answers) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    // Whoever is slow is not the server that checks.
                    let _ = timeout(LONGEST, answer(stream, answers)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, answers: Answers) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = response(request.method(), request.uri().path(), &answers);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false).max_buf_size(MAX_HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for a challenge ended");
    }
}

fn response(method: &Method, path: &str, answers: &HashMap<String, String>) -> Response<Full<Bytes>> {
    let text = path.strip_prefix(PATH).and_then(|token| answers.get(token)).filter(|_| method == Method::GET);
    let mut response = Response::new(Full::new(text.cloned().unwrap_or_default().into()));
    if text.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_and_nothing_else() {
        let answers = HashMap::from([("token".to_owned(), "token.thumbprint".to_owned())]);
        let status = |method: Method, path: &str| response(&method, path, &answers).status().as_u16();
        assert_eq!(status(Method::GET, "/.well-known/acme-challenge/token"), 200);
        assert_eq!(status(Method::POST, "/.well-known/acme-challenge/token"), 404);
        for path in ["/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other", "/token"] {
            assert_eq!(status(Method::GET, path), 404, "{path}");
        }
    }
}
