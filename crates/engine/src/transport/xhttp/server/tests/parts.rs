//! What requests ask for, and the order of pieces.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::Request;
use proptest::prelude::*;
use tokio::io::ReadBuf;

use crate::transport::xhttp::server::{
    queue::{HeldBytes, QueueError, UploadQueue},
    request::{Asked, Location},
};

fn asked(method: &str, uri: &str, referer: Option<&str>) -> Option<Asked> {
    let mut request = Request::builder().method(method).uri(uri).header("host", "a.example:8443");
    if let Some(referer) = referer {
        request = request.header("referer", referer);
    }
    Location::new("x?ed=1", Some("A.example")).read(&request.body(()).unwrap())
}

#[test]
fn what_requests_ask_for() {
    let padded = format!("https://a.example/x/?x_padding={}", "X".repeat(100));
    let read = |method, path: &str| asked(method, path, Some(&padded));
    let session: Box<str> = "S".into();
    assert_eq!(read("GET", "/x/S"), Some(Asked::Download { session: session.clone() }));
    assert_eq!(read("POST", "/x/S"), Some(Asked::Upload { session: session.clone(), padded: true }));
    assert_eq!(read("PUT", "/x/S/7"), Some(Asked::Piece { session: session.clone(), number: 7 }));
    assert_eq!(read("GET", "/x/S/0"), Some(Asked::Piece { session: session.clone(), number: 0 }));
    assert_eq!(read("POST", "/x/"), Some(Asked::Both));
    assert_eq!(read("OPTIONS", "/x/S"), Some(Asked::Preflight));
    assert_eq!(read("POST", "https://A.EXAMPLE/x/"), Some(Asked::Both));
    let own = format!("/x/S?a=b&x_padding={}", "X".repeat(1000));
    assert_eq!(asked("POST", &own, None), Some(Asked::Upload { session, padded: false }));
}

#[test]
fn what_is_no_clients_request() {
    let padded = |length| format!("https://a.example/x/?x_padding={}", "X".repeat(length));
    let enough = padded(100);
    let long = format!("/x/{}", "s".repeat(257));
    for (method, path) in [
        ("GET", "/x/"),
        ("GET", "/x"),
        ("GET", "/"),
        ("POST", "/xy/S"),
        ("HEAD", "/x/S"),
        ("POST", "/x/S/minus"),
        ("POST", "/x//7"),
        ("POST", "/x/S/99999999999999999999"),
        ("POST", "https://b.example/x/S"),
        ("POST", long.as_str()),
    ] {
        assert_eq!(asked(method, path, Some(&enough)), None, "{method} {path}");
    }
    for referer in
        [None, Some(padded(99)), Some(padded(1001)), Some("nonsense".to_owned()), Some(enough.replace('?', "#"))]
    {
        assert_eq!(asked("POST", "/x/S", referer.as_deref()), None, "{referer:?}");
    }
}

/// The upload of a client, whose download is there.
fn queue() -> (Arc<UploadQueue>, Arc<HeldBytes>) {
    let held = Arc::<HeldBytes>::default();
    let queue = Arc::new(UploadQueue::new(Arc::clone(&held)));
    queue.pair();
    queue.prove();
    (queue, held)
}

/// Puts a piece in if there is room now.
fn put(queue: &Arc<UploadQueue>, number: u64, piece: &[u8]) -> Option<Result<bool, QueueError>> {
    let room = queue.room(number, piece.len()).now_or_never()?;
    Some(room.map(|room| room.map(|room| room.fill(Bytes::copy_from_slice(piece))).is_some()))
}

/// Everything that can be read now.
fn read(queue: &UploadQueue) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 700];
    loop {
        let mut buffer = ReadBuf::new(&mut buffer);
        match poll_fn(|cx| queue.poll_read(cx, &mut buffer)).now_or_never() {
            Some(Ok(())) if !buffer.filled().is_empty() => all.extend_from_slice(buffer.filled()),
            _ => return all,
        }
    }
}

proptest! {
    #[test]
    fn any_order_and_doubles_give_the_same(
        order in Just((0..25_u64).collect::<Vec<_>>()).prop_shuffle(),
        doubled in prop::collection::vec(0..25_usize, 0..25),
    ) {
        let (queue, held) = queue();
        let piece = |number: u64| vec![number as u8; number as usize * 40];
        let doubled = doubled.into_iter().map(|at| order[at]).collect::<Vec<_>>();
        let mut came = Vec::new();
        for number in order.iter().chain(&doubled) {
            prop_assert!(put(&queue, *number, &piece(*number)).is_some_and(|put| put.is_ok()));
            came.extend(read(&queue));
        }
        prop_assert_eq!(came, (0..25).flat_map(piece).collect::<Vec<_>>());
        prop_assert_eq!(held.sum(), 0);
    }
}

#[test]
fn pieces_that_wait_are_bounded_and_the_next_one_is_taken() {
    let (queue, held) = queue();
    for number in 1..=30 {
        assert_eq!(put(&queue, number, b"x"), Some(Ok(true)));
    }
    assert_eq!(put(&queue, 31, b"x"), None, "it waits");
    assert_eq!(put(&queue, 0, b"x"), Some(Ok(true)), "the others wait for it");
    assert_eq!(put(&queue, 0, b"x"), Some(Ok(false)), "it is there");
    assert_eq!(read(&queue), [b'x'; 31]);
    assert_eq!(put(&queue, 31, b"x"), Some(Ok(true)));
    assert_eq!(put(&queue, 3, b"x"), Some(Ok(false)), "it was there");

    let large = vec![0; 1_000_000];
    for number in [33, 34] {
        assert_eq!(put(&queue, number, &large), Some(Ok(true)));
    }
    assert_eq!(put(&queue, 35, &large), None);
    queue.end();
    assert_eq!(held.sum(), 0);
    assert_eq!(put(&queue, 32, b"x"), Some(Err(QueueError::Over)));
    assert!(read(&queue).is_empty());
}

#[test]
fn room_that_is_not_used_comes_back() {
    let (queue, held) = queue();
    let room = queue.room(0, 1000).now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(held.sum(), 1000);
    drop(room);
    assert_eq!(held.sum(), 0);
    assert_eq!(put(&queue, 0, b"again"), Some(Ok(true)));
    assert_eq!(read(&queue), b"again");
    // A piece that comes after the end.
    let room = queue.room(1, 1000).now_or_never().unwrap().unwrap().unwrap();
    queue.end();
    room.fill(Bytes::from_static(b"late"));
    assert_eq!(held.sum(), 0);
}

#[test]
fn a_piece_that_is_sent_again_takes_the_place_of_one_that_is_lost() {
    let (queue, _) = queue();
    let first = queue.room(0, 1000).now_or_never().unwrap().unwrap().unwrap();
    let mut second = Box::pin(queue.room(0, 1000));
    assert!((&mut second).now_or_never().is_none(), "the first one may still come");
    drop(first);
    let second = second.now_or_never().unwrap().unwrap().unwrap();
    let mut third = Box::pin(queue.room(0, 1000));
    assert!((&mut third).now_or_never().is_none());
    second.fill(Bytes::from_static(b"here"));
    assert!(third.now_or_never().unwrap().unwrap().is_none(), "the second one has come");
    assert_eq!(read(&queue), b"here");
}

#[test]
fn an_upload_is_streamed_or_comes_in_pieces() {
    let (pieces, _) = queue();
    assert_eq!(put(&pieces, 5, b"x"), Some(Ok(true)));
    assert_eq!(pieces.attach(Box::new(tokio::io::empty())), Err(QueueError::Conflict));
    let (streamed, _) = queue();
    assert_eq!(streamed.attach(Box::new(&b"all of it"[..])), Ok(()));
    assert_eq!(streamed.attach(Box::new(tokio::io::empty())), Err(QueueError::Conflict));
    assert_eq!(put(&streamed, 0, b"x"), Some(Err(QueueError::Conflict)));
    assert!(streamed.ended().now_or_never().is_none());
    assert_eq!(read(&streamed), b"all of it");
    assert!(streamed.ended().now_or_never().is_some());
}

#[test]
fn an_upload_of_nobody_known_is_held_in_little_room() {
    let held = Arc::<HeldBytes>::default();
    let queue = Arc::new(UploadQueue::new(Arc::clone(&held)));
    let large = vec![0; 100_000];
    assert_eq!(put(&queue, 0, &large), None, "nobody reads it");
    assert_eq!(put(&queue, 1, &large[..60_000]), Some(Ok(true)));
    queue.pair();
    assert_eq!(put(&queue, 2, &large), None);
    assert_eq!(put(&queue, 0, &large), Some(Ok(true)), "the others wait for it");
    queue.prove();
    assert_eq!(held.sum(), 160_000);
    assert_eq!(put(&queue, 2, &large), Some(Ok(true)));
    assert_eq!(read(&queue).len(), 260_000);
    assert_eq!(held.sum(), 0);
}

#[test]
fn what_all_sessions_of_nobody_known_hold_is_bounded() {
    let held = Arc::<HeldBytes>::default();
    let queue = || {
        let queue = Arc::new(UploadQueue::new(Arc::clone(&held)));
        queue.pair();
        queue
    };
    let large = vec![0; 1_000_000];
    let full: Vec<_> = (0..33).map(|_| queue()).collect();
    assert!(full.iter().all(|queue| put(queue, 0, &large) == Some(Ok(true))));
    assert_eq!(put(&queue(), 0, &large), Some(Err(QueueError::Full)));
    assert_eq!(read(&full[0]).len(), 1_000_000);
    assert_eq!(put(&queue(), 0, &large), Some(Ok(true)));
    full.iter().for_each(|queue| queue.end());
    assert_eq!(held.sum(), 1_000_000, "of the one that was not kept");
}
