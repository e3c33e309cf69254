//! Connections that change their protocol, as a WebSocket does: they carry bytes, and count as long as they are open.

use std::net::SocketAddr;

use parking_lot::RwLock;

use super::*;

/// Serves one path that upgrades its connection and sends back five bytes. Returns its address.
async fn serve_echo(stop: &CancellationToken) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = |request: axum::extract::Request| async {
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let mut word = [0; 5];
            while stream.read_exact(&mut word).await.is_ok() {
                stream.write_all(&word).await.unwrap();
            }
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    };
    let router = axum::Router::new().route("/echo", axum::routing::get(echo));
    (address, tokio::spawn(serve::serve_router(listener, Arc::new(RwLock::new(router)), Arc::default(), stop.clone())))
}

/// An upgraded connection; `None` when the server closes it at once.
async fn upgraded(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    Some(stream)
}

async fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"hello");
}

#[tokio::test]
async fn a_connection_can_be_upgraded() {
    let stop = CancellationToken::new();
    let (address, serving) = serve_echo(&stop).await;
    echoes(&mut upgraded(address).await.unwrap()).await;
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_holds_its_slot_until_it_ends() {
    let stop = CancellationToken::new();
    let (address, serving) = serve_echo(&stop).await;
    let mut open = Vec::new();
    for _ in 0..connection_slots::MAX_PER_ADDRESS {
        open.push(upgraded(address).await.unwrap());
    }
    assert!(upgraded(address).await.is_none(), "its address has as many as it may");
    for stream in &mut open {
        echoes(stream).await;
    }
    open.pop();
    // The server notices the end of the connection a moment later.
    let again = async {
        loop {
            if let Some(stream) = upgraded(address).await {
                return stream;
            }
            tokio::task::yield_now().await;
        }
    };
    echoes(&mut tokio::time::timeout(Duration::from_secs(60), again).await.unwrap()).await;
    stop.cancel();
    serving.await.unwrap();
}
