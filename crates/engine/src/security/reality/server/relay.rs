//! Joins a stranger's connection with one to the site, and changes nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{io::copy_bidirectional, time::sleep};

use crate::{BoxStream, Stream as _, io::activity::ActivityMeter};

/// How long a relay may be without a byte: longer than websites keep idle connections.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Passes bytes, ends and resets both ways, until both sides have ended, one fails, or nothing has come for [`IDLE`].
pub(super) async fn relay(client: BoxStream, site: BoxStream) {
    let reads = Arc::new(AtomicU64::new(0));
    let metered = |inner| ActivityMeter::new(inner, Arc::clone(&reads));
    let (mut client, mut site) = (metered(client), metered(site));
    let idle = async {
        loop {
            let before = reads.load(Ordering::Relaxed);
            sleep(IDLE).await;
            if reads.load(Ordering::Relaxed) == before {
                return;
            }
        }
    };
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
