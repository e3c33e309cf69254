//! One direction of a server's way: carries the bytes of its connections late, and no faster than its rate.

use std::{collections::VecDeque, io, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep_until},
};

use super::Path;

/// The most bytes of one connection that are on their way at a time, and the most pieces.
const MAX_BYTES: usize = 4 << 20;
const MAX_PIECES: usize = 4096;
/// The size of a piece: at most this, at least a packet, and no more than passes in [`TURN`].
const PIECE: usize = 16 * 1024;
const PACKET: usize = 1460;
const TURN: Duration = Duration::from_millis(20);
/// A connection sends its next piece when the queue in front of the link is shorter than this, so that connections share the
/// rate evenly.
const QUEUE: Duration = Duration::from_millis(20);
/// The shortest retransmission timeout of Linux.
const LEAST_TIMEOUT: Duration = Duration::from_millis(200);

/// One direction, shared by all connections of a server.
#[derive(Debug)]
pub(crate) struct Link {
    path: Path,
    /// What a lost packet costs.
    retransmission: Duration,
    /// When the last byte that was handed to it has left.
    free: Mutex<Instant>,
}

/// What is on its way on one connection.
#[derive(Debug)]
struct Flight {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When the last piece arrives; the next one cannot overtake it.
    last: Instant,
    /// Whether the sender has ended, so that the end of the stream arrives behind the last piece.
    ended: bool,
}

impl Flight {
    fn has_room(&self) -> bool {
        !self.ended && self.bytes < MAX_BYTES && self.pieces.len() < MAX_PIECES
    }

    fn next_arrival(&self) -> Option<Instant> {
        let end = self.ended.then_some(self.last);
        self.pieces.front().map(|(at, _)| *at).or(end)
    }
}

impl Link {
    pub(crate) fn new(path: Path, round_trip: Duration) -> Self {
        Self { path, retransmission: round_trip.max(LEAST_TIMEOUT), free: Mutex::new(Instant::now()) }
    }

    /// Carries everything from `from` to `to` until `from` has ended and `to` has been shut down; what is sent before `opens`
    /// leaves then. The shutdown is left out when `resets` says so: the caller resets the connection.
    ///
    /// # Errors
    /// When reading fails. When writing fails nobody listens any more, and it ends early.
    pub(crate) async fn carry(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut random: StdRng,
        opens: Instant,
        resets: impl Fn() -> bool,
    ) -> io::Result<()> {
        let mut flight = Flight { pieces: VecDeque::new(), bytes: 0, last: opens, ended: false };
        let mut buffer = vec![0; self.piece()];
        loop {
            let arrival = flight.next_arrival();
            let read = async {
                sleep_until(self.turn()).await;
                from.read(&mut buffer).await
            };
            tokio::select! {
                biased;
                () = sleep_until(arrival.unwrap_or(opens)), if arrival.is_some() => {
                    let Some((_, piece)) = flight.pieces.pop_front() else {
                        return if resets() { Ok(()) } else { to.shutdown().await.or(Ok(())) };
                    };
                    flight.bytes -= piece.len();
                    if to.write_all(&piece).await.is_err() || to.flush().await.is_err() {
                        return Ok(());
                    }
                }
                read = read, if flight.has_room() => {
                    let length = read?;
                    let arrives = self.send(length, &mut random, opens).max(flight.last);
                    flight.last = arrives;
                    flight.ended = length == 0;
                    if let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) {
                        flight.bytes += length;
                        flight.pieces.push_back((arrives, piece.to_vec()));
                    }
                }
            }
        }
    }

    /// When the next piece may be handed to the link.
    fn turn(&self) -> Instant {
        let now = Instant::now();
        let free = *self.free.lock();
        now.max(free.checked_sub(QUEUE).unwrap_or(now))
    }

    /// Takes a piece of so many bytes and says when it arrives.
    fn send(&self, length: usize, random: &mut StdRng, opens: Instant) -> Instant {
        let now = Instant::now().max(opens);
        let left = match self.path.rate {
            None => now,
            Some(rate) => {
                let mut free = self.free.lock();
                *free = now.max(*free) + transmission(length, rate);
                *free
            }
        };
        let jitter = self.path.jitter.mul_f64(random.random::<f64>());
        let packets = length.div_ceil(PACKET).max(1) as f64;
        let lost = random.random::<f64>() < 1.0 - (1.0 - self.path.loss).powf(packets);
        left + self.path.delay + jitter + if lost { self.retransmission } else { Duration::ZERO }
    }

    fn piece(&self) -> usize {
        let in_turn = |rate: u64| (rate as f64 / 8.0 * TURN.as_secs_f64()) as usize;
        self.path.rate.map_or(PIECE, |rate| in_turn(rate).clamp(PACKET, PIECE))
    }
}

/// How long so many bytes take at a rate in bits a second.
fn transmission(length: usize, rate: u64) -> Duration {
    Duration::from_secs_f64(length as f64 * 8.0 / rate.max(1) as f64)
}
