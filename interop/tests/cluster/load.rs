//! Requests at a fixed rate, and what became of each.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// What a client is willing to wait.
const LIMIT: Duration = Duration::from_secs(30);

/// One request through a proxy, as the user `user` when one is named: the number of the node that served it.
pub(crate) fn request(proxy: SocketAddr, user: Option<&str>) -> Result<u64, String> {
    let text = exchange(proxy, user, "http://demo.hezar/").map_err(|error| error.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("the answer breaks off: {text:?}"))?;
    let status = head.lines().next().unwrap_or_default();
    let body: Value = serde_json::from_str(body).map_err(|_| format!("{status}: {body}"))?;
    body["index"].as_u64().ok_or_else(|| format!("{status}: {body}"))
}

/// One request, to the end of its answer.
pub(crate) fn exchange(proxy: SocketAddr, user: Option<&str>, url: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&proxy, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let login = user.map(|name| BASE64_STANDARD.encode(format!("{name}:p")));
    let login = login.map(|login| format!("Proxy-Authorization: Basic {login}\r\n")).unwrap_or_default();
    write!(stream, "GET {url} HTTP/1.1\r\nHost: demo.hezar\r\n{login}Connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Requests that go on until they are ended, in turn through each proxy.
pub(crate) struct Load {
    end: Arc<AtomicBool>,
    worker: JoinHandle<Vec<Request>>,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) result: Result<u64, String>,
}

impl Load {
    /// Begins with so many requests a second, each over a connection and a thread of its own.
    pub(crate) fn start(proxies: Vec<SocketAddr>, per_second: u32) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let worker = thread::spawn(move || {
            let (began, mut running) = (Instant::now(), Vec::new());
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                let proxy = proxies[number as usize % proxies.len()];
                running.push(thread::spawn(move || {
                    let began = Instant::now();
                    let result = request(proxy, None);
                    Request { began, ended: Instant::now(), result }
                }));
                number += 1;
                thread::sleep(
                    (began + number * Duration::from_secs(1) / per_second).saturating_duration_since(Instant::now()),
                );
            }
            running.into_iter().map(|request| request.join().unwrap()).collect()
        });
        Self { end, worker }
    }

    /// Ends it and tells what became of every request.
    pub(crate) fn end(self) -> Vec<Request> {
        self.end.store(true, Ordering::Relaxed);
        self.worker.join().unwrap()
    }
}

/// The requests that failed.
pub(crate) fn failures(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.result.is_err()).collect()
}

/// The time that this share of the times did not exceed, in ms.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> u128 {
    times.sort_unstable();
    let place = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
    times.get(place).map_or(0, Duration::as_millis)
}
