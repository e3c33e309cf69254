//! Runs quinn's drivers on tokio. A driver that wakes itself while it is polled is polled again at once.
//!
//! A connection's driver yields after every 20 packets and wakes itself. In tokio's scheduler each wake-up would start an idle
//! thread that moves the driver to another core, which costs more than sending the packets.

mod gather;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use futures_util::task::AtomicWaker;
use gather::{GatheringSocket, GatheringTurn};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// The most polls of a driver before other tasks get a turn.
const MOST_POLLS: usize = 8;

/// quinn's runtime for tokio, except that drivers are polled again in place and their packets are gathered.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriverRuntime;

impl Runtime for DriverRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(Driver::new(driver));
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(GatheringSocket::new(TokioRuntime.wrap_udp_socket(socket)?)))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// The driver waits for a wake-up.
const WAITING: u8 = 0;
/// The driver is being polled.
const POLLING: u8 = 1;
/// The driver was woken while it was polled.
const WOKEN: u8 = 2;

/// The waker that is passed to a driver.
#[derive(Debug)]
struct DriverWaker {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for DriverWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.compare_exchange(POLLING, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if woken == Err(WAITING) {
            self.task.wake();
        }
    }
}

/// A driver that is polled again while it wakes itself.
struct Driver<F> {
    driver: F,
    shared: Arc<DriverWaker>,
    waker: Waker,
}

impl<F: Future<Output = ()> + Unpin> Driver<F> {
    fn new(driver: F) -> Self {
        let shared = Arc::new(DriverWaker { state: AtomicU8::new(WAITING), task: AtomicWaker::new() });
        Self { driver, waker: Waker::from(Arc::clone(&shared)), shared }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Driver<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { driver, shared, waker } = self.get_mut();
        shared.task.register(cx.waker());
        let _turn = GatheringTurn::begin();
        for _ in 0..MOST_POLLS {
            shared.state.store(POLLING, Ordering::Release);
            if Pin::new(&mut *driver).poll(&mut Context::from_waker(waker)).is_ready() {
                return Poll::Ready(());
            }
            if shared.state.compare_exchange(POLLING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        shared.state.store(WAITING, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
