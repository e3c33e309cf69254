//! Behaves as a browser on a site that turned out not to be a proxy: it asks for a page and closes the connection, so that
//! nobody on the path can tell that a proxy was expected.
//!
//! To close the connection at the certificate, or after the handshake without a request, would show an observer who we are.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::tls::TlsStream;

/// The most of the answer that is read.
const MOST: usize = 256 * 1024;

/// How long the visit may last.
const PATIENCE: Duration = Duration::from_secs(2);

const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/149.0.0.0 Safari/537.36";
const LANGUAGE: &str = "en-US,en;q=0.9";

/// Asks for `path` and reads the answer. What comes of it does not matter, so nobody waits for it: the dial has failed
/// already, and its end would cut the visit short.
pub(super) fn visit(mut stream: TlsStream, host: &str, path: &str) {
    let h2 = stream.codec().speaks_h2();
    let path = if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) { path } else { "/" };
    let request = if h2 { http2(host, path) } else { http1(host, path) };
    let exchange = async move {
        stream.write_all(&request).await?;
        stream.flush().await?;
        let (mut buffer, mut read) = (vec![0; 16 * 1024], 0);
        while read < MOST {
            match stream.read(&mut buffer).await? {
                0 => break,
                more => read += more,
            }
        }
        stream.shutdown().await
    };
    // It ends by itself.
    drop(tokio::spawn(timeout(PATIENCE, exchange)));
}

fn http1(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nUser-Agent: {AGENT}\r\nAccept: {ACCEPT}\r\n\
         Accept-Language: {LANGUAGE}\r\n\r\n"
    )
    .into_bytes()
}

/// The beginning of an HTTP/2 connection with one request (RFC 9113, RFC 7541 without Huffman).
fn http2(host: &str, path: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings: [(u16, u32); 4] = [(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)];
    let settings = settings.iter().flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes()));
    put_frame(&mut bytes, 4, 0, 0, &settings.collect::<Vec<u8>>());
    put_frame(&mut bytes, 8, 0, 0, &15_663_105_u32.to_be_bytes());
    // Indexed: GET, https.
    let mut headers = vec![0x82];
    put_header(&mut headers, &[0x01], host);
    headers.push(0x87);
    let rest: [(&[u8], &str); 4] =
        [(&[0x04], path), (&[0x0f, 43], AGENT), (&[0x0f, 4], ACCEPT), (&[0x0f, 2], LANGUAGE)];
    for (name, value) in rest {
        put_header(&mut headers, name, value);
    }
    // The end of the headers and of the stream.
    put_frame(&mut bytes, 1, 5, 1, &headers);
    bytes
}

/// A literal without indexing, its name from the static table.
fn put_header(headers: &mut Vec<u8>, name: &[u8], value: &str) {
    headers.extend_from_slice(name);
    // Seven bits of length, then seven more each.
    let mut length = value.len();
    if length < 127 {
        headers.push(length.to_be_bytes().last().copied().unwrap_or_default());
    } else {
        headers.push(127);
        length -= 127;
        while length >= 128 {
            headers.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        headers.push(length.to_le_bytes()[0]);
    }
    headers.extend_from_slice(value.as_bytes());
}

fn put_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::{http2, put_header};

    #[test]
    fn long_values_have_long_lengths() {
        let mut header = Vec::new();
        put_header(&mut header, &[4], &"a".repeat(300));
        assert_eq!(&header[..4], &[4, 127, 0xad, 1]);
        assert_eq!(header.len(), 304);
        // Preface, settings of 4, window, headers.
        let request = http2("site.example", "/");
        assert_eq!(&request[24..33], &[0, 0, 24, 4, 0, 0, 0, 0, 0]);
        assert_eq!(&request[33 + 24..33 + 24 + 9], &[0, 0, 4, 8, 0, 0, 0, 0, 0]);
    }
}
