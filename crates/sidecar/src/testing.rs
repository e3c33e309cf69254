//! What the tests of this crate share.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The head and the body of a request.
pub(crate) async fn request(stream: &mut (impl AsyncBufRead + Unpin)) -> (String, String) {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {
        let last = head.lines().last().unwrap_or_default().to_lowercase();
        length = last.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}
