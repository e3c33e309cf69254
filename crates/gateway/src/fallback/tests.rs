//! Strangers before a folder, before a web server, and before a site without pages.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use hezar_core::{Stage, Target};
use hezar_engine::{Attempt, BoxStream, Cause, DialError, Dialer, server::WebAnswer as _};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::{Instant, sleep},
};

use super::{Fallback, visitors::MOST_STRANGERS};
use crate::InboundFallback;

/// The way to the web server: streams that were made before.
#[derive(Debug, Default)]
struct Prepared(Mutex<Vec<DuplexStream>>);

#[async_trait]
impl Dialer for Prepared {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        match self.0.lock().pop() {
            Some(stream) => Ok(Box::new(stream)),
            None => Err(DialError::new(Stage::Connect, Cause::Closed)),
        }
    }
}

const IDLE: Duration = Duration::from_secs(300);

/// When a stranger must have asked for something.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn nothing() -> Fallback {
    Fallback::new(&InboundFallback::default(), Arc::<Prepared>::default())
}

fn folder(path: &Path) -> Fallback {
    let settings = InboundFallback { folder: Some(path.to_owned()), address: None };
    Fallback::new(&settings, Arc::<Prepared>::default())
}

fn behind(streams: Vec<DuplexStream>) -> Fallback {
    let settings = InboundFallback { folder: None, address: Some(Target::parse("127.0.0.1:8088").unwrap()) };
    Fallback::new(&settings, Arc::new(Prepared(Mutex::new(streams))))
}

/// A folder with pages, and a file beside it that nobody may see.
fn pages() -> tempfile::TempDir {
    let outer = tempfile::tempdir().unwrap();
    let site = outer.path().join("site");
    std::fs::create_dir_all(site.join("about")).unwrap();
    std::fs::write(site.join("index.html"), "<p>welcome</p>").unwrap();
    std::fs::write(site.join("about/index.html"), "<p>about</p>").unwrap();
    std::fs::write(outer.path().join("secret"), "secret").unwrap();
    outer
}

/// Everything that a stranger hears who says this and ends its side.
async fn hear(fallback: &Fallback, said: &[u8]) -> String {
    let (ours, mut theirs) = duplex(1 << 20);
    let stranger = async {
        // Who is closed at once may not even be heard.
        let _ = theirs.write_all(said).await;
        let _ = theirs.shutdown().await;
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    };
    tokio::join!(fallback.serve(Box::new(ours), soon(), IDLE), stranger).1
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: site.example\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_folder_is_a_site() {
    let outer = pages();
    let fallback = folder(&outer.path().join("site"));
    let index = hear(&fallback, &get("/")).await;
    assert!(index.starts_with("HTTP/1.1 200 OK\r\n") && index.ends_with("<p>welcome</p>"), "{index}");
    assert!(index.contains("content-type: text/html") && index.contains("last-modified: "), "{index}");
    assert!(hear(&fallback, &get("/about/")).await.ends_with("<p>about</p>"));
    assert!(hear(&fallback, &get("/about")).await.contains("location: /about/"));
    for path in
        ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/about/../../secret", "//secret", "/no", "/index.html/x"]
    {
        let answer = hear(&fallback, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
        assert!(!answer.contains("\r\n\r\nsecret"), "{path}: {answer}");
    }
    let head = hear(&fallback, b"HEAD / HTTP/1.1\r\nHost: site.example\r\n\r\n").await;
    assert!(head.contains("content-length: 14\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let missing = hear(&fallback, b"HEAD /no HTTP/1.1\r\nHost: site.example\r\n\r\n").await;
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with("\r\n\r\n"), "{missing}");
    let post = hear(&fallback, b"POST / HTTP/1.1\r\nHost: site.example\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{post}");
    // Two requests on one connection are two answers.
    let both = hear(&fallback, &[get("/"), get("/no")].concat()).await;
    assert_eq!(both.matches("HTTP/1.1 ").count(), 2, "{both}");
}

#[tokio::test]
async fn a_folder_may_have_a_page_of_its_own_for_what_is_not_there() {
    let outer = pages();
    std::fs::write(outer.path().join("site/404.html"), "<p>lost?</p>").unwrap();
    let answer = hear(&folder(&outer.path().join("site")), &get("/no")).await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.ends_with("<p>lost?</p>"), "{answer}");
    assert!(!answer.contains("last-modified"), "{answer}");
}

#[tokio::test]
async fn garbage_is_a_bad_request_and_no_folder_a_site_without_pages() {
    let outer = pages();
    for fallback in [nothing(), folder(&outer.path().join("site"))] {
        for said in [&b"\x00\x01\x02garbage\r\n\r\n"[..], b"d63dc919e201\r\n\r\n", b"GET\r\n\r\n"] {
            let answer = hear(&fallback, said).await;
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said:?}: {answer}");
        }
        // Whoever says nothing hears nothing.
        assert_eq!(hear(&fallback, b"").await, "");
    }
    assert!(hear(&nothing(), &get("/")).await.starts_with("HTTP/1.1 404 Not Found\r\n"));
    let missing = folder(Path::new("/nonexistent/folder"));
    assert!(hear(&missing, &get("/")).await.starts_with("HTTP/1.1 404 Not Found\r\n"));
}

#[tokio::test]
async fn http2_is_served_too() {
    let outer = pages();
    let fallback = folder(&outer.path().join("site"));
    let (ours, theirs) = duplex(1 << 20);
    let client = async {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await.unwrap();
        let running = tokio::spawn(connection);
        let request = Request::get("https://site.example/about/").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "<p>about</p>");
        drop(sender);
        running.await.unwrap().unwrap();
    };
    tokio::join!(fallback.serve(Box::new(ours), soon(), IDLE), client);
}

/// How many seconds a stranger is served who says this and waits.
async fn lasts(said: &[u8]) -> u64 {
    let (ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(said).await.unwrap();
    let (fallback, started) = (nothing(), Instant::now());
    let stranger = async {
        let mut heard = Vec::new();
        let _ = theirs.read_to_end(&mut heard).await;
        drop(theirs);
    };
    tokio::join!(fallback.serve(Box::new(ours), soon(), IDLE), stranger);
    started.elapsed().as_secs()
}

/// Whatever half of a request there is, it is given up at the same time: then a client's would be as well.
#[tokio::test(start_paused = true)]
async fn half_a_request_is_given_up_in_its_time() {
    for said in [
        &b""[..],
        b"G",
        b"d63dc919e201",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
    ] {
        assert_eq!(lasts(said).await, 60, "{said:?}");
    }
    // A connection that was answered may wait for its next request for longer.
    for said in [&get("/")[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let lasted = lasts(said).await;
        assert!((60..=80).contains(&lasted), "{said:?}: {lasted} s");
    }
}

#[tokio::test]
async fn a_web_server_behind_hears_every_byte() {
    let (near, mut far) = duplex(1 << 20);
    let fallback = behind(vec![near]);
    let server = async {
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        far.write_all(b"HTTP/1.0 200 OK\r\n\r\nown words").await.unwrap();
        far.shutdown().await.unwrap();
        heard
    };
    let (heard, answer) = tokio::join!(server, hear(&fallback, b"\x00any \xff bytes"));
    assert_eq!(heard, b"\x00any \xff bytes");
    assert_eq!(answer, "HTTP/1.0 200 OK\r\n\r\nown words");
}

#[tokio::test]
async fn a_web_server_that_is_down_is_a_bad_gateway() {
    let answer = hear(&behind(Vec::new()), &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    let answer = behind(Vec::new()).answer(Request::new(Bytes::new())).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test(start_paused = true)]
async fn a_relay_in_which_nothing_moves_is_closed() {
    let (near, far) = duplex(1 << 20);
    let (ours, theirs) = duplex(1 << 20);
    let started = Instant::now();
    behind(vec![near]).serve(Box::new(ours), soon(), IDLE).await;
    assert_eq!(started.elapsed().as_secs(), IDLE.as_secs());
    drop((far, theirs));
}

#[tokio::test]
async fn single_requests_are_answered() {
    let outer = pages();
    let site = folder(&outer.path().join("site"));
    let request = |path: &str| Request::get(format!("https://site.example{path}")).body(Bytes::new()).unwrap();
    let answer = site.answer(request("/")).await;
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "<p>welcome</p>");
    assert_eq!(site.answer(request("/no")).await.status(), StatusCode::NOT_FOUND);

    let (near, mut far) = duplex(1 << 20);
    let fallback = behind(vec![near]);
    let server = async {
        let mut heard = vec![0; 4096];
        let mut length = 0;
        while !heard[..length].ends_with(b"body") {
            length += far.read(&mut heard[length..]).await.unwrap();
        }
        let answer = b"HTTP/1.1 418 I'm a teapot\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\nContent-Length: 3\r\n\r\ntea";
        far.write_all(answer).await.unwrap();
        String::from_utf8(heard[..length].to_vec()).unwrap()
    };
    let mut request = Request::new(Bytes::from_static(b"body"));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "https://site.example/path?query=1".parse().unwrap();
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let (heard, answer) = tokio::join!(server, fallback.answer(request));
    assert!(heard.starts_with("POST /path?query=1 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: site.example\r\n") && heard.contains("content-length: 4\r\n"), "{heard}");
    assert!(!heard.contains("te: "), "{heard}");
    assert_eq!(answer.status().as_u16(), 418);
    assert!(answer.headers().contains_key("x-kept") && !answer.headers().contains_key("x-hop"));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "tea");
}

#[tokio::test]
async fn too_many_strangers_are_closed_at_once() {
    let fallback = nothing();
    let all = u32::try_from(MOST_STRANGERS).unwrap();
    let _all = fallback.visitors.places.acquire_many(all).await.unwrap();
    assert_eq!(hear(&fallback, &get("/")).await, "");
}

/// Who keeps a connection open and says nothing does not close the site for others, whoever serves it.
#[tokio::test(start_paused = true)]
async fn the_most_silent_stranger_gives_way() {
    for has_server in [false, true] {
        let (near, mut servers): (Vec<_>, Vec<_>) = (0..=MOST_STRANGERS).map(|_| duplex(1 << 20)).unzip();
        let fallback = Arc::new(if has_server { behind(near) } else { nothing() });
        let mut strangers = Vec::new();
        for _ in 0..MOST_STRANGERS {
            let (ours, theirs) = duplex(1 << 20);
            let fallback = Arc::clone(&fallback);
            let served = tokio::spawn(async move { fallback.serve(Box::new(ours), soon(), IDLE).await });
            strangers.push((theirs, served));
            sleep(Duration::from_millis(2)).await;
        }
        sleep(Duration::from_secs(2)).await;
        // The first one is heard of again, so that the second one has been silent for longer.
        strangers[0].0.write_all(b"GET").await.unwrap();
        sleep(Duration::from_millis(1)).await;
        if has_server {
            // The streams were taken from the end; the last one is for who comes now.
            let mut last = servers.swap_remove(0);
            tokio::spawn(async move {
                last.read_to_end(&mut Vec::new()).await.unwrap();
                last.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await.unwrap();
            });
        }
        let answer = hear(&fallback, &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{has_server}: {answer}");
        let over: Vec<_> = strangers.iter().map(|(_, served)| served.is_finished()).collect();
        assert!(over[1] && over.iter().filter(|over| **over).count() == 1, "{has_server}: {over:?}");
    }
}

/// While all of them are busy, nobody is cut off for somebody else.
#[tokio::test(start_paused = true)]
async fn busy_strangers_give_way_to_nobody() {
    let fallback = nothing();
    let (mut theirs, ours): (Vec<_>, Vec<_>) = (0..MOST_STRANGERS).map(|_| duplex(1 << 20)).unzip();
    let all = join_all(ours.into_iter().map(|ours| fallback.serve(Box::new(ours), soon(), IDLE)));
    let others = async {
        sleep(Duration::from_secs(3)).await;
        for stranger in &mut theirs {
            stranger.write_all(&get("/")).await.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
        assert_eq!(hear(&fallback, &get("/")).await, "");
        for mut stranger in theirs {
            let mut first = [0; 12];
            stranger.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 404");
        }
    };
    tokio::join!(all, others);
}

/// Many requests over few connections are bounded like connections, for as long as their answers are sent.
#[tokio::test]
async fn too_many_single_requests_are_told_to_come_later() {
    let fallback = nothing();
    let ask = || fallback.answer(Request::new(Bytes::new()));
    let mut sent = Vec::new();
    for _ in 0..MOST_STRANGERS {
        sent.push(ask().await);
    }
    assert!(sent.iter().all(|answer| answer.status() == StatusCode::NOT_FOUND));
    assert_eq!(ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hear(&fallback, &get("/")).await, "");
    drop(sent);
    assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
}
