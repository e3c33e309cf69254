//! The controller against a small HTTP server.

use std::{sync::Arc, time::Duration};

use hezar_core::Secret;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;
use crate::testing::request;

type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers every request with the same bytes, and what it was asked: heads and bodies.
async fn server(answer: impl Into<String>) -> (Controller, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let (answer, requests) = (answer.into(), Requests::default());
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let asked = request(&mut stream).await;
            seen.lock().push(asked);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (Controller::new(ControllerAddress::Tcp { authority, secret: Secret::new("SECRET") }), requests)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_configuration_is_sent_raw_and_a_refusal_tells_its_message() {
    let (controller, requests) = server(answer("204 No Content", "").replace("Content-Length: 0\r\n", "")).await;
    controller.put_configuration("a: \u{1f1e9}\u{1f1ea}\n").await.unwrap();
    let (head, body) = requests.lock().remove(0);
    assert!(head.starts_with("PUT /configs?force=true HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret\r\n"), "{head}");
    assert_eq!(body, "{\"path\":\"\",\"payload\":\"a: \u{1f1e9}\u{1f1ea}\\n\"}");

    let long = "x".repeat(5000);
    let (controller, _) =
        server(answer("400 Bad Request", &format!(r#"{{"message":"proxy 61: a\u001bb{long}"}}"#))).await;
    let error = controller.put_configuration("").await.unwrap_err();
    let message = error.refusal().unwrap();
    assert!(message.starts_with("proxy 61: a b") && message.len() <= 1024, "{message}");
    assert!(!format!("{controller:?}").contains("SECRET"));
}

#[tokio::test]
async fn names_are_escaped_in_paths_and_delays_are_read() {
    let (controller, requests) = server(answer("200 OK", r#"{"delay":17}"#)).await;
    let delay =
        controller.check_provider_node("p/q", "n?1", "http://x.test/?a=b&c", None, Duration::from_secs(90)).await;
    assert_eq!(delay.unwrap(), Duration::from_millis(17));
    let path = "GET /providers/proxies/p%2Fq/n%3F1/healthcheck?timeout=32767&url=http%3A%2F%2Fx.test%2F%3Fa%3Db%26c ";
    assert!(requests.lock()[0].0.starts_with(path));
}

#[tokio::test]
async fn answers_are_bounded_in_shape_and_an_empty_list_may_be_null() {
    let (controller, _) = server(answer("200 OK", r#"{"downloadTotal":1,"uploadTotal":2,"connections":null}"#)).await;
    let connections = controller.connections().await.unwrap();
    assert_eq!((connections.download_total, connections.connections.len()), (1, 0));
    assert!(matches!(controller.version().await, Err(ControllerError::Shape(_))));
    let (controller, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{").await;
    assert!(matches!(controller.version().await, Err(ControllerError::Body)));
    let nobody = Controller::new(ControllerAddress::Unix("/nonexistent/socket".into()));
    assert!(matches!(nobody.version().await, Err(ControllerError::Connect(_))));
}

#[test]
fn versions_are_compared_by_their_numbers() {
    let version = |text: &str| CoreVersion { version: text.to_owned(), meta: true }.numbers();
    assert_eq!(version("v1.19.32"), Some((1, 19, 32)));
    assert_eq!(version("1.19.27-rc1"), Some((1, 19, 27)));
    assert_eq!(version("alpha-05e8f13a"), None);
}

#[test]
fn a_refusal_names_its_node() {
    let found = |message: &str| RefusedProxy::find(message).map(|refused| (refused.index, refused.reason));
    assert_eq!(found("proxy 61 error: unsupport proxy type: x"), Some((61, "unsupport proxy type: x".to_owned())));
    assert_eq!(found("proxy 0: key 'port' missing"), Some((0, "key 'port' missing".to_owned())));
    assert_eq!(found("proxy a is the duplicate name"), None);
    assert_eq!(found("file doesn't have any proxy"), None);
}
