//! Bytes arrive complete, in order and late, and the same seed gives the same distances. Time is paused.

use std::{io, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::Instant,
};

use super::{Distance, Distances, Link, Path};

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// Sends `bytes` over a link; gives back what arrived, when the first byte did and when the end did.
async fn send(link: Link, bytes: Vec<u8>) -> (Vec<u8>, Duration, Duration) {
    let ((mut client, near), (far, mut server)) = (duplex(1 << 16), duplex(1 << 16));
    let began = Instant::now();
    let carrying = link.carry(near, far, StdRng::seed_from_u64(1), began, || false);
    let writing = async {
        client.write_all(&bytes).await?;
        client.shutdown().await
    };
    let reading = async {
        let mut arrived = vec![server.read_u8().await?];
        let first = began.elapsed();
        server.read_to_end(&mut arrived).await?;
        Ok::<_, io::Error>((arrived, first, began.elapsed()))
    };
    let (carried, written, read) = tokio::join!(carrying, writing, reading);
    carried.unwrap();
    written.unwrap();
    read.unwrap()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number % 251) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_after_the_delay_and_in_order() {
    let path = Path { delay: ms(150), ..Path::default() };
    let (arrived, first, end) = send(Link::new(path, ms(300)), pattern(300_000)).await;
    assert_eq!(arrived, pattern(300_000));
    assert!((ms(150)..ms(155)).contains(&first) && (ms(150)..ms(160)).contains(&end), "{first:?} {end:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_and_loss_make_bytes_late_and_nothing_is_missing() {
    let path = Path { delay: ms(50), jitter: ms(40), loss: 0.3, rate: None };
    let (arrived, _, end) = send(Link::new(path, ms(100)), pattern(100_000)).await;
    assert_eq!(arrived, pattern(100_000));
    assert!((ms(250)..ms(300)).contains(&end), "one retransmission later: {end:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rate_bounds_what_arrives_in_a_second() {
    // 1 Mbit/s: 125,000 bytes take a second.
    let path = Path { delay: ms(50), rate: Some(1_000_000), ..Path::default() };
    let (arrived, first, end) = send(Link::new(path, ms(100)), pattern(250_000)).await;
    assert_eq!(arrived.len(), 250_000);
    assert!(first < ms(100) && (ms(2040)..ms(2200)).contains(&end), "{first:?} {end:?}");
}

async fn count(mut from: DuplexStream, counted: &std::cell::Cell<u64>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        counted.set(counted.get() + read as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_share_the_rate_evenly() {
    let link = Link::new(Path { rate: Some(8_000_000), ..Path::default() }, ms(0));
    let counts = [std::cell::Cell::new(0), std::cell::Cell::new(0)];
    let connection = |counted, seed| {
        let ((mut client, near), (far, server)) = (duplex(1 << 16), duplex(1 << 16));
        let link = &link;
        async move {
            let writing = async { while client.write_all(&[0; 4096]).await.is_ok() {} };
            let carrying = link.carry(near, far, StdRng::seed_from_u64(seed), Instant::now(), || false);
            let (_, carried, ()) = tokio::join!(writing, carrying, count(server, counted));
            carried
        }
    };
    let [one, other] = &counts;
    let both = async { tokio::join!(connection(one, 1), connection(other, 2)) };
    assert!(tokio::time::timeout(ms(10_000), both).await.is_err(), "they never end by themselves");
    let (one, other) = (one.get() as f64, other.get() as f64);
    assert!((9.5e6..10.5e6).contains(&(one + other)), "10 s at a megabyte a second: {one} + {other}");
    assert!((0.8..1.25).contains(&(one / other)), "{one} and {other}");
}

#[test]
fn the_same_seed_draws_the_same_distances() {
    let distances = Distances { seed: 7, median: ms(120), sigma: 0.7, jitter: 0.1, loss: 0.01 };
    let drawn = distances.draw(1001);
    assert_eq!(drawn, distances.draw(1001));
    assert_eq!(drawn[..10], distances.draw(10)[..]);
    assert_ne!(drawn, Distances { seed: 8, ..distances }.draw(1001));
    let mut round_trips: Vec<_> = drawn.iter().map(Distance::round_trip).collect();
    round_trips.sort_unstable();
    assert!((ms(110)..ms(130)).contains(&round_trips[500]), "the median: {:?}", round_trips[500]);
    // One standard deviation above it: e^0.7 times the median.
    assert!((ms(215)..ms(270)).contains(&round_trips[841]), "{:?}", round_trips[841]);
    assert_eq!(drawn[0].up.jitter, drawn[0].up.delay.mul_f64(0.1));
}
