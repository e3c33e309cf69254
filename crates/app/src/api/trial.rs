//! One request through the instance's own listener, as a client would send it: whether it works, and the exit that served it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_accept::{PROXY_LOCAL, ServerTls};
use hezar_api::{ApiError, TestReport, TestRequest};
use hezar_core::{Stage, Target};
use hezar_engine::{
    Attempt, BoxStream, Cause, DialError, Dialer,
    http::{HttpRequest, ResponseLimits, send},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::ApiBackend;

/// How long one test may take.
const LONGEST: Duration = Duration::from_secs(30);
/// The most that is read of the page, and of heads, in bytes.
const LIMITS: ResponseLimits = ResponseLimits { head: 64 << 10, body: 256 << 10 };
/// The longest answer to CONNECT, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// The longest user name and password, in bytes.
const MOST_CREDENTIALS: usize = 4096;

impl ApiBackend {
    pub(crate) async fn try_listener(&self, request: &TestRequest) -> Result<TestReport, ApiError> {
        let _permit = self.trials.try_acquire().map_err(|_| ApiError::Busy("as many tests as may be run already"))?;
        let url = match &request.url {
            Some(url) => url.clone(),
            None => self.runtime.test_page().to_string(),
        };
        let page = HttpRequest::get(&url).map_err(|error| ApiError::BadRequest(format!("url: {error}")))?;
        let (address, entry) = self.listener_address(request.listener.as_deref())?;
        let dialer = ListenerDialer::new(address, entry, request)?;
        let attempt = Attempt::within(LONGEST);
        let answer = send(&dialer, &self.tls, &page, &attempt, LIMITS).await;
        let mut report = dialer.report(url);
        match answer {
            Ok(answer) => {
                report.status = Some(answer.status());
                report.works = true;
                report.latency_ms = u64::try_from(attempt.elapsed().as_millis()).unwrap_or(u64::MAX);
            }
            Err(error) => {
                // What the listener itself said is nearer to the cause than that it has closed the stream.
                report.code.get_or_insert_with(|| error.code().to_owned());
                report.message.get_or_insert_with(|| error.to_string());
            }
        }
        Ok(report)
    }

    /// The address of a listener, as this machine reaches it, and what it expects first; the first listener unless named.
    fn listener_address(&self, name: Option<&str>) -> Result<(SocketAddr, ListenerEntry), ApiError> {
        let (addresses, configs) = (self.listeners.addresses(), self.listeners.configs());
        let named = |name: &str| configs.iter().position(|listener| *listener.name == *name);
        let index = name.map_or(Some(0), named);
        let found = index.and_then(|index| addresses.get(index).zip(configs.get(index)));
        let (address, config) = found.ok_or(ApiError::NotFound)?;
        let address = crate::remote::reachable(*address);
        let sends_header = config.proxy_protocol.contains(address.ip());
        Ok((address, ListenerEntry { tls: config.server_tls.clone(), sends_header }))
    }
}

/// What a listener expects from this machine before HTTP.
#[derive(Debug)]
struct ListenerEntry {
    tls: Option<ServerTls>,
    /// Whether this machine is a proxy that the listener trusts, and has to say whom it speaks for.
    sends_header: bool,
}

/// Asks a listener of this instance for tunnels, and notes what it says about them.
#[derive(Debug)]
struct ListenerDialer {
    listener: SocketAddr,
    entry: ListenerEntry,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
    head: Arc<Mutex<String>>,
}

impl ListenerDialer {
    fn new(listener: SocketAddr, entry: ListenerEntry, request: &TestRequest) -> Result<Self, ApiError> {
        let user = request.user.as_deref().unwrap_or_default();
        let password = request.password.as_ref().map_or("", |password| password.expose());
        if user.len() + password.len() > MOST_CREDENTIALS {
            return Err(ApiError::BadRequest("the user name and the password are too long".to_owned()));
        }
        let given = !user.is_empty() || !password.is_empty();
        let authorization = given.then(|| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Ok(Self { listener, entry, authorization, head: Arc::default() })
    }

    /// What the answer to CONNECT said: the code of a refusal, or the node and the exit.
    fn report(&self, url: String) -> TestReport {
        let head = self.head.lock();
        let value = |name: &str| parameter(&head, name);
        TestReport {
            works: false,
            url,
            listener: self.listener.to_string(),
            status: None,
            latency_ms: 0,
            node: value("node"),
            exit_ip: value("exit"),
            country: value("country"),
            code: value("details"),
            message: None,
        }
    }

    /// A connection to the listener on which HTTP can begin.
    async fn enter(&self) -> io::Result<BoxStream> {
        let mut stream = TcpStream::connect(self.listener).await?;
        if self.entry.sends_header {
            stream.write_all(PROXY_LOCAL).await?;
        }
        Ok(match &self.entry.tls {
            Some(tls) => Box::new(tls.connect(Box::new(stream) as BoxStream).await?),
            None => Box::new(stream),
        })
    }

    async fn tunnel(&self, target: &Target) -> Result<BoxStream, Cause> {
        let mut stream = self.enter().await?;
        let authorization =
            self.authorization.as_ref().map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // One byte at a time: what follows the head belongs to the tunnel.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= MOST_HEAD {
                return Err(Cause::UnexpectedAnswer("the head of the listener's answer is too long".into()));
            }
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let accepted = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        let line = head.lines().next().unwrap_or_default().to_owned();
        *self.head.lock() = head;
        if accepted { Ok(stream) } else { Err(Cause::UnexpectedAnswer(line.into())) }
    }
}

#[async_trait]
impl Dialer for ListenerDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        attempt.stage(Stage::Connect, self.tunnel(target)).await
    }
}

/// A parameter of the `Proxy-Status` header that the gateway has written (RFC 9209).
fn parameter(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case("proxy-status").then_some(value)
    })?;
    let begin = format!("; {name}=\"");
    let (_, rest) = line.split_once(&begin)?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_proxy_status_are_read() {
        let head = "HTTP/1.1 200 OK\r\nproxy-status: hezar; node=\"ab\"; exit=\"192.0.2.1\"; country=\"DE\"\r\n\r\n";
        assert_eq!(parameter(head, "node").as_deref(), Some("ab"));
        assert_eq!(parameter(head, "exit").as_deref(), Some("192.0.2.1"));
        assert_eq!(parameter(head, "session"), None);
        assert_eq!(parameter("HTTP/1.1 200 OK\r\nx: ; node=\"a\"\r\n\r\n", "node"), None);
    }
}
