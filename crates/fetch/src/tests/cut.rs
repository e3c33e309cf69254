//! Bodies that end too early, and bodies of which nobody can say whether they do.

use std::time::Duration;

use async_trait::async_trait;
use hezar_core::Target;
use hezar_engine::{Attempt, BoxStream, DialError, Dialer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::site::{NOW, fetcher, url};
use crate::{FetchError, Fetched, Validators};

/// Every host there is: it says the same to each request and ends the connection.
#[derive(Debug)]
struct Says(&'static str);

#[async_trait]
impl Dialer for Says {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        let (ours, mut theirs) = duplex(64 * 1024);
        let answer = self.0;
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(answer.as_bytes()).await.unwrap();
        });
        Ok(Box::new(ours))
    }
}

async fn fetch(answer: &'static str) -> Result<Fetched, FetchError> {
    let spec = url("http://lists.test/a");
    fetcher(Duration::from_secs(60)).fetch(&spec, &Says(answer), &Validators::default(), NOW).await
}

#[tokio::test]
async fn a_cut_body_is_no_list() {
    for answer in [
        "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 1000\r\n\r\nss://a\n",
        "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nss://a\n\r\n",
    ] {
        assert_eq!(fetch(answer).await.unwrap_err().code(), "closed", "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_may_be_cut_leaves_no_validator() {
    let validators = "ETag: \"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (head, body, certain) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n", "ss://a\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "7\r\nss://a\n\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n", "ss://a\n", false),
        ("HTTP/1.0 200 OK\r\n", "ss://a\n", false),
    ] {
        let answer = format!("{head}{validators}\r\n{body}").leak();
        let Fetched::Documents(found) = fetch(answer).await.unwrap() else { panic!("not modified") };
        assert_eq!(found.documents[0].bytes, "ss://a\n");
        let kept = [&found.validators.etag, &found.validators.last_modified].map(Option::is_some);
        assert_eq!(kept, [certain; 2], "{head:?}");
    }
}
