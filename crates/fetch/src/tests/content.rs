//! Compressed content: announced, not announced, announced wrongly, damaged.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use proptest::prelude::*;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::site::{Site, answer, url};
use crate::{Validators, content::decode};

const LIST: &str = "ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388#one\n";

/// `plain` in an encoding; in several, one after the other, when they are separated by commas.
pub(super) async fn compress(encodings: &str, plain: &[u8]) -> Vec<u8> {
    let mut content = plain.to_vec();
    for encoding in encodings.split(',') {
        let mut out = Vec::new();
        {
            let mut encoder: Box<dyn AsyncWrite + Unpin + Send> = match encoding.trim() {
                "gzip" | "GZIP" => Box::new(GzipEncoder::new(&mut out)),
                "br" => Box::new(BrotliEncoder::new(&mut out)),
                "zstd" => Box::new(ZstdEncoder::new(&mut out)),
                "deflate" => Box::new(ZlibEncoder::new(&mut out)),
                "deflate bare" => Box::new(DeflateEncoder::new(&mut out)),
                _ => Box::new(&mut out),
            };
            encoder.write_all(&content).await.unwrap();
            encoder.shutdown().await.unwrap();
        }
        content = out;
    }
    content
}

async fn plain(content: Vec<u8>, declared: &str) -> Result<Vec<u8>, String> {
    decode(content.into(), declared, 10_000_000).await.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_compression_is_undone() {
    let list = LIST.repeat(1000);
    for encoding in ["gzip", "br", "zstd", "deflate", "deflate bare", "identity", "GZIP"] {
        let body = compress(encoding, list.as_bytes()).await;
        let header = encoding.split(' ').next().unwrap().to_owned();
        let site = Site::new(move |_| answer(200, &[("content-encoding", &header)], body.clone())).await;
        let found = site.documents(&url("http://lists.test/"), &Validators::default()).await;
        assert_eq!(found.documents[0].bytes, list.as_bytes(), "{encoding}");
        assert!(site.seen()[0].has("accept-encoding: gzip, br, zstd, deflate"));
    }
}

/// What the bytes are decides: servers leave the header out, name another coding, apply one twice or not at all.
#[tokio::test]
async fn content_is_read_whatever_the_header_says() {
    for list in [LIST.to_owned(), LIST.repeat(1000), "trojan://pw@b1.example.test:443#b1\n".to_owned()] {
        for (actual, declared) in [
            ("gzip", ""),
            ("zstd", ""),
            ("deflate", ""),
            ("gzip", "identity"),
            ("gzip", "br"),
            ("zstd", "gzip"),
            ("deflate", "br"),
            ("deflate bare", "deflate"),
            ("br", "gzip"),
            ("gzip,gzip", "gzip"),
            ("gzip,gzip", ""),
            ("gzip,br", "gzip, br"),
            ("br,gzip", "br, gzip"),
            ("gzip,zstd", "zstd"),
            ("identity", "gzip"),
            ("identity", "br"),
            ("identity", "deflate"),
            ("identity", "zstd"),
            ("identity", "utf-8"),
            ("identity", "gzip, br, zstd"),
            ("gzip", "utf-8"),
            ("gzip", "aws-chunked,gzip"),
        ] {
            let content = compress(actual, list.as_bytes()).await;
            assert_eq!(plain(content, declared).await.unwrap(), list.as_bytes(), "{actual} declared as {declared:?}");
        }
    }
}

/// Every scheme's first letters are, to Brotli, the start of some stream; `ss://` and `v` are even whole, empty ones.
#[tokio::test]
async fn plain_text_is_never_taken_for_compressed() {
    for scheme in ["ss", "ssr", "vmess", "vless", "trojan", "hysteria2", "hy2", "tuic", "socks5", "http", "; list"] {
        let list = format!("{scheme}://something@192.0.2.1:443\n");
        for declared in ["br", "deflate", "gzip", "zstd", "nonsense"] {
            assert_eq!(plain(list.clone().into_bytes(), declared).await.unwrap(), list.as_bytes(), "{declared}");
        }
    }
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(LIST.bytes().flat_map(|byte| [byte, 0])).collect();
    assert_eq!(plain(utf16.clone(), "gzip").await.unwrap(), utf16);
}

#[tokio::test]
async fn bytes_behind_the_last_gzip_member_are_ignored() {
    let mut content = compress("gzip", LIST.as_bytes()).await;
    content.extend(compress("gzip", LIST.as_bytes()).await);
    assert_eq!(plain(content.clone(), "").await.unwrap(), LIST.repeat(2).as_bytes());
    let mut content = compress("gzip", LIST.as_bytes()).await;
    content.extend(b"<!-- served in 3 ms -->");
    assert_eq!(plain(content, "gzip").await.unwrap(), LIST.as_bytes());
}

#[tokio::test]
async fn damaged_and_unknown_compression_is_an_error() {
    let mut cut = compress("gzip", LIST.repeat(1000).as_bytes()).await;
    cut.truncate(cut.len() / 2);
    for (encoding, body) in
        [("gzip", cut.clone()), ("", cut), ("br", b"\xff\xff".to_vec()), ("zstd", b"n\0".to_vec()), ("lzma", vec![1])]
    {
        let site = Site::new(move |_| answer(200, &[("content-encoding", encoding)], body.clone())).await;
        assert_eq!(site.failure(&url("http://lists.test/")).await.code(), "source-encoding", "{encoding}");
    }
}

proptest! {
    /// Garbage neither panics nor grows beyond the limit.
    #[test]
    fn garbage_is_bounded(
        mut content in proptest::collection::vec(any::<u8>(), 0..300),
        magic in prop::sample::select(vec![&[][..], &[0x1f, 0x8b, 8], &[0x28, 0xb5, 0x2f, 0xfd], &[0x78, 0x9c]]),
        declared in prop::sample::select(vec!["", "gzip", "br", "deflate", "zstd", "x, y, br", ",,,"]),
    ) {
        content.splice(0..0, magic.iter().copied());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok(plain) = runtime.block_on(decode(content.into(), declared, 1000)) {
            prop_assert!(plain.len() <= 1000);
        }
    }
}
