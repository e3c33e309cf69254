//! The parts that protocols share: when a header leaves, and how the buffer of received bytes grows.

use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    time::{Instant, timeout},
};

use crate::io::{
    first_write::PATIENCE,
    header_stream::{HeaderStream, NoHead},
    read_buffer::ReadBuffer,
};

fn headed() -> (HeaderStream<NoHead>, DuplexStream) {
    let (ours, theirs) = duplex(1024);
    (HeaderStream::new(Box::new(ours), b"header".to_vec(), NoHead), theirs)
}

#[tokio::test(start_paused = true)]
async fn header_and_payload_leave_together() {
    let (mut client, mut server) = headed();
    client.write_all(b"payload").await.unwrap();
    let mut buffer = [0; 64];
    let read = server.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..read], b"headerpayload");
}

#[tokio::test(start_paused = true)]
async fn header_leaves_alone_when_the_client_waits() {
    let (mut client, mut server) = headed();
    let started = Instant::now();
    let reading = tokio::spawn(async move { client.read_u8().await });
    let mut buffer = [0; 6];
    server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"header");
    assert!((PATIENCE..PATIENCE * 2).contains(&started.elapsed()));
    server.write_all(b"!").await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_someone_acts() {
    let (mut client, mut server) = headed();
    client.flush().await.unwrap();
    assert!(timeout(Duration::from_secs(60), server.read_u8()).await.is_err());
    assert_eq!(client.write(&[]).await.unwrap(), 0);
    let mut buffer = [0; 6];
    server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"header");
}

#[tokio::test(start_paused = true)]
async fn a_writer_takes_over_a_header_on_its_way() {
    let (ours, mut server) = duplex(2);
    let mut client = HeaderStream::new(Box::new(ours), b"header".to_vec(), NoHead);
    assert!(timeout(PATIENCE * 2, client.read_u8()).await.is_err());
    let writing = tokio::spawn(async move {
        client.write_all(b"payload").await.unwrap();
        client.flush().await.unwrap();
    });
    let mut buffer = [0; 13];
    server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"headerpayload");
    writing.await.unwrap();
}

/// Reads once and gives everything away again.
async fn turn(read_buffer: &mut ReadBuffer, from: &mut &[u8], needed: usize) -> usize {
    let read = poll_fn(|cx| read_buffer.poll_fill(from, needed, cx)).await.unwrap();
    let closed = read_buffer.bytes().len();
    read_buffer.consume(closed);
    read
}

#[tokio::test]
async fn the_inbox_follows_the_traffic() {
    let much = vec![1; 1 << 20];
    let (mut read_buffer, mut from) = (ReadBuffer::default(), &much[..]);
    let mut reads = Vec::new();
    for _ in 0..7 {
        reads.push(turn(&mut read_buffer, &mut from, 1).await / 1024);
    }
    assert_eq!(reads, [4, 8, 16, 32, 64, 128, 128]);
    assert_eq!(turn(&mut read_buffer, &mut &b"a little"[..], 1).await, 8);
    assert_eq!(turn(&mut read_buffer, &mut from, 1).await, 4 * 1024);
    assert_eq!(turn(&mut read_buffer, &mut from, 140_000).await, 256 * 1024);
}

#[tokio::test]
async fn an_idle_inbox_has_no_buffer() {
    let (mut read_buffer, (mut near, mut far)) = (ReadBuffer::default(), duplex(1 << 20));
    for length in [5_000, 100_000] {
        near.write_all(&vec![1; length]).await.unwrap();
        let mut left = length;
        while left > 0 {
            left -= poll_fn(|cx| read_buffer.poll_fill(&mut far, 1, cx)).await.unwrap();
            let closed = read_buffer.bytes().len();
            read_buffer.consume(closed);
        }
        assert_ne!(read_buffer.capacity(), 0, "after {length} bytes");
        let more = poll_fn(|cx| Poll::Ready(read_buffer.poll_fill(&mut far, 1, cx))).await;
        assert!(more.is_pending());
        assert_eq!(read_buffer.capacity(), 0, "after {length} bytes");
    }
}

#[tokio::test]
async fn the_inbox_keeps_what_is_held_and_what_is_closed() {
    let (mut read_buffer, mut from) = (ReadBuffer::default(), &b"0123456789"[..]);
    poll_fn(|cx| read_buffer.poll_fill(&mut from, 4, cx)).await.unwrap();
    read_buffer.hold(5, 1..4);
    let mut text = [0; 8];
    let mut out = ReadBuf::new(&mut text);
    read_buffer.give_held(&mut out);
    read_buffer.give_held(&mut out);
    assert_eq!(out.filled(), b"123");
    assert_eq!(read_buffer.bytes(), b"56789");
    poll_fn(|cx| read_buffer.poll_fill(&mut &b"abc"[..], 8000, cx)).await.unwrap();
    assert_eq!(read_buffer.bytes(), b"56789abc");
}
