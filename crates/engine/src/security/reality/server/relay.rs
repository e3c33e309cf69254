//! Joins a stranger's connection with one to the site, and changes nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf, copy_bidirectional},
    time::sleep,
};

use crate::{
    BoxStream, Stream as _,
    io::read_through::{ReadThrough, Reader},
};

/// How long a relay may be without a byte: longer than websites keep idle connections.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Notes that bytes came.
struct Watch(Arc<AtomicBool>);

impl Reader for Watch {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(std::pin::Pin::new(inner).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

/// Passes bytes, ends and resets both ways, until both sides have ended, one fails, or nothing has come for [`IDLE`].
pub(super) async fn relay(client: BoxStream, site: BoxStream) {
    let moved = Arc::new(AtomicBool::new(false));
    let watched = |inner| ReadThrough { reader: Watch(Arc::clone(&moved)), inner };
    let (mut client, mut site) = (watched(client), watched(site));
    let idle = async {
        while moved.swap(false, Ordering::Relaxed) {
            sleep(IDLE).await;
        }
    };
    moved.store(true, Ordering::Relaxed);
    let result = tokio::select! {
        result = copy_bidirectional(&mut client, &mut site) => result,
        () = idle => return,
    };
    pass_on(&result, &client.inner, &site.inner);
}

/// Lets both connections end by a reset, if `result` says that one of them has ended so.
pub(super) fn pass_on<T>(result: &io::Result<T>, client: &BoxStream, site: &BoxStream) {
    let is_reset =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    if !result.as_ref().is_err_and(is_reset) {
        return;
    }
    for socket in [client.socket(), site.socket()].into_iter().flatten() {
        // A socket that refuses ends in the orderly way.
        let _ = socket.set_zero_linger();
    }
}
