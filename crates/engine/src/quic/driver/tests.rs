//! The turns of drivers, and what is sent in them.

use std::{net::SocketAddr, sync::atomic::AtomicUsize};

use parking_lot::Mutex;
use quinn::{
    UdpPoller,
    udp::{RecvMeta, Transmit},
};

use super::*;
use crate::testing::until;

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_driver_that_wakes_itself_goes_on_in_place() {
    let (polls, wakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(Wakes::default()));
    let counted = Arc::clone(&polls);
    let inner = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&inner);
    // Wakes itself 4 times, then waits for somebody else, then never stops to wake itself.
    let mut driver = Driver::new(std::future::poll_fn(move |cx| {
        let poll = counted.fetch_add(1, Ordering::Relaxed) + 1;
        if poll == 5 {
            *kept.lock() = Some(cx.waker().clone());
        } else {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }));
    let task = Waker::from(Arc::clone(&wakes));
    let mut poll = || Pin::new(&mut driver).poll(&mut Context::from_waker(&task));
    assert!(poll().is_pending());
    assert_eq!((polls.load(Ordering::Relaxed), wakes.0.load(Ordering::Relaxed)), (5, 0));
    inner.lock().take().unwrap().wake();
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "a driver that waits is woken by its task");
    assert!(poll().is_pending());
    assert_eq!(
        (polls.load(Ordering::Relaxed), wakes.0.load(Ordering::Relaxed)),
        (5 + MOST_POLLS, 2),
        "others get a turn"
    );
}

/// A socket that notes what it is given to send, and is full for so many calls.
#[derive(Debug, Default)]
struct Noting {
    /// Packets of a call: their total length, and the length of each.
    sent: Mutex<Vec<(usize, Option<usize>)>>,
    full: AtomicUsize,
}

impl AsyncUdpSocket for Noting {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.full.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| full.checked_sub(1)).is_ok() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.sent.lock().push((transmit.contents.len(), transmit.segment_size));
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [io::IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn max_transmit_segments(&self) -> usize {
        64
    }
}

#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sends packets of 1000 bytes and perhaps a shorter one behind them.
fn send(socket: &GatheringSocket, port: u16, length: usize) -> io::Result<()> {
    let contents = vec![7; length];
    let segment_size = (length > 1000).then_some(1000);
    let destination = SocketAddr::from(([127, 0, 0, 1], port));
    socket.try_send(&Transmit { destination, ecn: None, contents: &contents, segment_size, src_ip: None })
}

#[test]
fn packets_of_a_turn_leave_together() {
    let noting = Arc::new(Noting::default());
    let socket = GatheringSocket::new(Arc::clone(&noting) as Arc<dyn AsyncUdpSocket>);
    let sent = || std::mem::take(&mut *noting.sent.lock());
    send(&socket, 1, 10_000).unwrap();
    assert_eq!(sent(), [(10_000, Some(1000))], "outside of a turn nothing is gathered");
    let turn = GatheringTurn::begin();
    for length in [10_000, 10_000, 500, 10_000] {
        send(&socket, 1, length).unwrap();
    }
    send(&socket, 2, 3_000).unwrap();
    send(&socket, 2, 400).unwrap();
    assert_eq!(
        sent(),
        [(20_500, Some(1000)), (10_000, Some(1000))],
        "a shorter packet or another place ends a gathering"
    );
    drop(turn);
    assert_eq!(sent(), [(3_400, Some(1000))]);
    let turn = GatheringTurn::begin();
    send(&socket, 1, 1000).unwrap();
    assert_eq!(sent(), [(1000, None)], "a single packet does not wait");
    (0..7).for_each(|_| send(&socket, 1, 10_000).unwrap());
    drop(turn);
    assert_eq!(sent(), [(60_000, Some(1000)), (10_000, Some(1000))]);
}

#[tokio::test]
async fn packets_without_room_are_kept() {
    let noting = Arc::new(Noting::default());
    let socket = GatheringSocket::new(Arc::clone(&noting) as Arc<dyn AsyncUdpSocket>);
    let turn = GatheringTurn::begin();
    send(&socket, 1, 10_000).unwrap();
    noting.full.store(2, Ordering::Relaxed);
    drop(turn);
    assert_eq!(send(&socket, 1, 500).unwrap_err().kind(), io::ErrorKind::WouldBlock, "the order is kept");
    send(&socket, 1, 500).unwrap();
    assert_eq!(std::mem::take(&mut *noting.sent.lock()), [(10_000, Some(1000)), (500, None)]);
    // Without another packet they leave as soon as there is room.
    let turn = GatheringTurn::begin();
    send(&socket, 1, 20_000).unwrap();
    noting.full.store(2, Ordering::Relaxed);
    drop(turn);
    until(|| *noting.sent.lock() == [(20_000, Some(1000))]).await;
}
