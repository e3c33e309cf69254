//! Clients as they are met: a few bytes of SOCKS or HTTP over a real socket.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::World;

/// A plain connection to the gateway.
pub(crate) async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.address).await.unwrap()
}

/// Sends bytes and reads until the gateway closes.
pub(crate) async fn say(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(world).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// Sends bytes and returns the head of the answer as text.
pub(crate) async fn ask(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A tunnel by CONNECT.
pub(crate) async fn tunnel(world: &World, target: &str) -> TcpStream {
    let mut stream = connect(world).await;
    let head = ask(&mut stream, format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream
}

/// SOCKS5 up to the reply of the request: `None` when the greeting or the login is refused.
pub(crate) async fn socks5(world: &World, login: Option<(&str, &str)>, request: &[u8]) -> (TcpStream, Option<u8>) {
    let (stream, reply, _) = socks5_reply(world, login, request).await;
    (stream, reply)
}

/// The same, with the address and port in the reply.
pub(crate) async fn socks5_reply(
    world: &World,
    login: Option<(&str, &str)>,
    request: &[u8],
) -> (TcpStream, Option<u8>, [u8; 6]) {
    let mut stream = connect(world).await;
    stream.write_all(if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] }).await.unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).await.unwrap();
    if method[1] == 0xff {
        return (stream, None, [0; 6]);
    }
    if let Some((name, password)) = login {
        assert_eq!(method, [5, 2]);
        let login =
            [&[1, name.len() as u8][..], name.as_bytes(), &[password.len() as u8], password.as_bytes()].concat();
        stream.write_all(&login).await.unwrap();
        let mut status = [0; 2];
        stream.read_exact(&mut status).await.unwrap();
        if status[1] != 0 {
            return (stream, None, [0; 6]);
        }
    }
    stream.write_all(request).await.unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[0], 5);
    (stream, Some(reply[1]), reply[4..].try_into().unwrap())
}

/// A SOCKS5 request for a name.
pub(crate) fn by_name(name: &str, port: u16) -> Vec<u8> {
    [&[5, 1, 0, 3, name.len() as u8][..], name.as_bytes(), &port.to_be_bytes()].concat()
}

/// Sends `data`, closes that half, and expects it all back.
pub(crate) async fn expect_echo(mut stream: TcpStream, data: &[u8]) {
    let (mut read, mut write) = stream.split();
    let send = async {
        write.write_all(data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let ((), received) = tokio::join!(send, read.read_to_end(&mut back));
    received.unwrap();
    assert_eq!(back.len(), data.len());
    assert!(back == data, "the bytes differ");
}

/// Sends a little and expects it back at once; the tunnel stays open.
pub(crate) async fn ping(stream: &mut TcpStream, data: &[u8]) {
    stream.write_all(data).await.unwrap();
    let mut back = vec![0; data.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, data);
}

/// An HTTP client with one kept-alive connection to the gateway.
pub(crate) async fn http(world: &World) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connect(world).await)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    sender
}

/// A request with a body.
pub(crate) fn request(method: &str, uri: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let host = uri.split('/').nth(2).unwrap_or_default().to_owned();
    Request::builder().method(method).uri(uri).header("host", host).body(Full::from(body.into())).unwrap()
}

/// The status, the `Proxy-Status` and the body of an answer.
pub(crate) async fn whole(response: Response<Incoming>) -> (u16, String, Bytes) {
    let (head, body) = response.into_parts();
    let proxy_status = head.headers.get("proxy-status").map(|value| value.to_str().unwrap().to_owned());
    (head.status.as_u16(), proxy_status.unwrap_or_default(), body.collect().await.unwrap().to_bytes())
}
