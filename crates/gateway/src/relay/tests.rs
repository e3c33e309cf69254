//! Half-close, first byte, idle time, errors by side.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};

use super::*;

const IDLE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn half_close_reaches_the_other_side_and_the_answer_comes_back() {
    let (mut client, mut client_far) = duplex(1000);
    let (mut node, mut node_far) = duplex(1000);
    let relayed = tokio::spawn(async move {
        let (mut counts, mut firsts) = ((0, 0), 0);
        let moved = |up, down, first| {
            counts = (counts.0 + up, counts.1 + down);
            firsts += u32::from(first);
        };
        let end = relay(&mut client_far, &mut node, IDLE, moved, || u64::MAX).await;
        (end, counts, firsts)
    });
    let server = tokio::spawn(async move {
        let mut request = Vec::new();
        node_far.read_to_end(&mut request).await.unwrap();
        node_far.write_all(&request).await.unwrap();
        node_far.shutdown().await.unwrap();
    });
    let sent = vec![7; 900];
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    server.await.unwrap();
    let (end, counts, firsts) = relayed.await.unwrap();
    assert_eq!(answer, sent);
    assert!(matches!(end, End::Closed));
    assert_eq!((counts, firsts), ((900, 900), 1));
}

#[tokio::test]
async fn megabytes_cross_both_ways_at_once() {
    let (client, mut client_far) = duplex(5000);
    let (mut node, node_far) = duplex(3000);
    tokio::spawn(async move { relay(&mut client_far, &mut node, IDLE, |_, _, _| (), || u64::MAX).await });
    let (mut echo_read, mut echo_write) = tokio::io::split(node_far);
    tokio::spawn(async move {
        tokio::io::copy(&mut echo_read, &mut echo_write).await.unwrap();
        echo_write.shutdown().await.unwrap();
    });
    let data: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = data.clone();
    let (mut read, mut write) = tokio::io::split(client);
    tokio::spawn(async move {
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await.unwrap();
    assert!(got == expected);
}

#[tokio::test(start_paused = true)]
async fn idle_tunnels_end_and_busy_ones_do_not() {
    let (mut client, mut client_far) = duplex(1000);
    let (mut node, _node_far) = duplex(1000);
    let started = Instant::now();
    let relayed = tokio::spawn(async move { relay(&mut client_far, &mut node, IDLE, |_, _, _| (), || u64::MAX).await });
    for _ in 0..5 {
        tokio::time::sleep(IDLE * 3 / 4).await;
        client.write_all(b"x").await.unwrap();
    }
    assert!(matches!(relayed.await.unwrap(), End::Idle));
    assert_eq!(started.elapsed().as_secs(), (IDLE * 15 / 4 + IDLE).as_secs());
}

#[tokio::test]
async fn errors_name_their_side() {
    let (mut client, _client_far) = duplex(1000);
    let mut node = ExchangeError;
    let end = relay(&mut client, &mut node, IDLE, |_, _, _| (), || u64::MAX).await;
    assert!(matches!(end, End::Node(error) if error.kind() == io::ErrorKind::ConnectionReset));
}

/// A stream whose every read fails.
struct ExchangeError;

impl AsyncRead for ExchangeError {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl Stream for ExchangeError {}

impl AsyncWrite for ExchangeError {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

#[tokio::test]
async fn the_kernel_moves_what_is_much_between_two_sockets() {
    let ((client, mut client_far), (mut node, node_far)) = (sockets().await, sockets().await);
    let relayed = tokio::spawn(async move {
        let (mut counts, mut steps) = ((0, 0), 0);
        let moved = |up, down, _| {
            counts = (counts.0 + up, counts.1 + down);
            steps += 1;
        };
        let end = relay(&mut client_far, &mut node, IDLE, moved, || u64::MAX).await;
        assert!(steps > 2, "bytes are told while they flow, also those that the kernel moves");
        (end, counts)
    });
    tokio::spawn(async move {
        let (mut read, mut write) = node_far.into_split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let data: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = client.into_split();
    let (expected, pauses) = (data.clone(), [0, 10, 130_000, 131_072, 4_000_000, 8_000_000]);
    tokio::spawn(async move {
        for part in pauses.windows(2) {
            write.write_all(&data[part[0]..part[1]]).await.unwrap();
            // The relay comes to rest in between.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await.unwrap();
    assert!(got == expected);
    let (end, counts) = relayed.await.unwrap();
    assert!(matches!(end, End::Closed));
    assert_eq!(counts, (8_000_000, 8_000_000));
    #[cfg(target_os = "linux")]
    assert!(splice::used(), "no pipe was needed");
}

#[tokio::test]
async fn a_socket_that_breaks_while_spliced_names_its_side() {
    let ((mut client, mut client_far), (mut node, mut node_far)) = (sockets().await, sockets().await);
    let relayed = tokio::spawn(async move { relay(&mut client_far, &mut node, IDLE, |_, _, _| (), || u64::MAX).await });
    let much = vec![1; 1_000_000];
    let mut got = vec![0; 1_000_000];
    let (written, read) = tokio::join!(node_far.write_all(&much), client.read_exact(&mut got));
    written.unwrap();
    read.unwrap();
    node_far.set_zero_linger().unwrap();
    drop(node_far);
    assert!(matches!(relayed.await.unwrap(), End::Node(_)));
}

/// A node's stream whose socket must not end by itself, as when the core that carries it was killed.
struct Unfinished(TcpStream);

impl Stream for Unfinished {
    fn socket(&self) -> Option<&TcpStream> {
        Some(&self.0)
    }
}

impl AsyncRead for Unfinished {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        let has_ended = buf.filled().len() == before;
        Poll::Ready(if has_ended { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
    }
}

impl AsyncWrite for Unfinished {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_stream_is_asked_whether_the_end_of_its_socket_is_its_own() {
    let ((mut client, mut client_far), (node, mut node_far)) = (sockets().await, sockets().await);
    let mut node = Unfinished(node);
    let relayed = tokio::spawn(async move { relay(&mut client_far, &mut node, IDLE, |_, _, _| (), || u64::MAX).await });
    let much = vec![1; 1_000_000];
    let mut got = vec![0; 1_000_000];
    let (written, read) = tokio::join!(node_far.write_all(&much), client.read_exact(&mut got));
    written.unwrap();
    read.unwrap();
    drop(node_far);
    let End::Node(error) = relayed.await.unwrap() else { panic!("it is no end of what was sent") };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn whoever_may_move_little_moves_one_chunk_at_a_time() {
    assert_eq!([0, 1, 1 << 20, 8 << 20, 1 << 30, u64::MAX].map(turns_within), [1, 1, 1, 2, 16, 16]);
}
