//! The HTTP/1.1 disguise of raw TCP (`headerType=http`): a request's head in front of our bytes, an answer's head in
//! front of the server's, and nothing around them afterwards.
//!
//! The heads have no meaning: a server that announces `Transfer-Encoding: chunked` sends no chunks.

#[cfg(test)]
mod tests;

use hezar_core::{Host, HttpHeader};

use super::http1::{Answered, USER_AGENT, Words};
use crate::{BoxStream, io::header_stream::HeaderStream};

/// The headers of an ordinary client, as v2ray's clients send them by default.
const OTHERS: &str = "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nPragma: no-cache\r\n";

/// The prepared disguise of one node.
#[derive(Debug)]
pub(super) struct HttpHeaderClient {
    paths: Vec<String>,
    hosts: Vec<String>,
}

impl HttpHeaderClient {
    /// Prepares the parts of the request.
    pub(super) fn new(settings: &HttpHeader, server: &Host) -> Self {
        let words = |path: &str, host: Option<&str>| Words::new(path, host, &[], None, server, &[]);
        let mut paths: Vec<_> = settings.paths.iter().map(|path| words(path, None).path).collect();
        let mut hosts: Vec<_> = settings.hosts.iter().map(|host| words("", Some(host)).host).collect();
        if paths.is_empty() {
            paths.push("/".to_owned());
        }
        if hosts.is_empty() {
            hosts.push(words("", None).host);
        }
        Self { paths, hosts }
    }

    /// Disguises a stream. The request is sent together with the first bytes.
    pub(super) fn open(&self, stream: BoxStream) -> BoxStream {
        Box::new(HeaderStream::new(stream, self.request().into_bytes(), Answered(200..=299)))
    }

    /// The head of one request, its path and host chosen anew.
    fn request(&self) -> String {
        let (path, host) = (one(&self.paths), one(&self.hosts));
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n{OTHERS}\r\n")
    }
}

/// A random one of the texts.
fn one(words: &[String]) -> &str {
    let number = rand::random_range(0..words.len().max(1));
    words.get(number).map_or("", String::as_str)
}
