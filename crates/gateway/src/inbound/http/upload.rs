//! The body of a request on its way to a node: when it may start, how much of it was sent, and who is at fault when it stalls.
//!
//! ```text
//!   Expect: 100-continue: Waiting ──100 from the target, or a second──► Permitted ──► Sent
//!                           └──the target answers an error──► Refused ──the answer ends──► Dropped: the body is not sent
//! ```

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How long to wait for `100 Continue`, which many targets never send (RFC 9110 §10.1.1). curl waits as long.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

type BodyError = Box<dyn Error + Send + Sync>;
type Permission = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// Whether a body that waits for `100 Continue` may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permit {
    Waiting,
    Permitted,
    /// The target has answered with an error instead.
    Refused,
    /// That answer has ended.
    Dropped,
}

/// How much of the body was sent.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// The last part was sent at `since`; `waits_for_client` says who is waited for now, the client or the node.
    Running {
        since: Instant,
        waits_for_client: bool,
    },
    Sent(Instant),
    /// The client's bytes are malformed, or it is gone.
    ClientFailed {
        gone: bool,
    },
}

/// Who stalls an upload, so that it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StalledBy {
    /// The client, which sends nothing more.
    Client,
    /// The node, which takes nothing more or does not answer.
    Node,
}

/// The state of one upload, shared by the body and those who wait for its end.
#[derive(Debug)]
pub(super) struct Upload {
    progress: Mutex<Progress>,
    permit: watch::Sender<Permit>,
}

impl Upload {
    /// An upload that has not begun; it `waits` for `100 Continue` or may be sent at once.
    fn new(waits: bool) -> Arc<Self> {
        let progress = Mutex::new(Progress::Running { since: Instant::now(), waits_for_client: false });
        Arc::new(Self { progress, permit: watch::Sender::new(if waits { Permit::Waiting } else { Permit::Permitted }) })
    }

    /// The target has sent `100 Continue`.
    pub(super) fn permit_now(&self) {
        self.permit_if_waiting(Permit::Permitted);
    }

    /// The answer has begun. When it is an error, a body that still waits is not sent; else the target reads it.
    pub(super) fn answered(&self, status: StatusCode) {
        let is_error = status.is_client_error() || status.is_server_error();
        self.permit_if_waiting(if is_error { Permit::Refused } else { Permit::Permitted });
    }

    fn permit_if_waiting(&self, next: Permit) {
        self.permit.send_if_modified(|permit| {
            let waits = *permit == Permit::Waiting;
            if waits {
                *permit = next;
            }
            waits
        });
    }

    /// Present when the upload failed by the client's fault: whether the client is gone (else its bytes were malformed).
    pub(super) fn client_failed(&self) -> Option<bool> {
        match *self.progress.lock() {
            Progress::ClientFailed { gone } => Some(gone),
            _ => None,
        }
    }

    /// Waits until the upload stalls: `idle` has passed without a part of the body, or `deadline` since the last part was
    /// sent.
    pub(super) async fn stalled(&self, idle: Duration, deadline: Duration) -> StalledBy {
        loop {
            let (end, stopped) = match *self.progress.lock() {
                Progress::Running { since, waits_for_client: true } => (since + idle, StalledBy::Client),
                Progress::Running { since, waits_for_client: false } => (since + idle, StalledBy::Node),
                Progress::Sent(at) => (at + deadline, StalledBy::Node),
                Progress::ClientFailed { .. } => (Instant::now() + idle, StalledBy::Client),
            };
            if Instant::now() >= end {
                return stopped;
            }
            // The deadline of a body that ends meanwhile may come earlier.
            sleep_until(end.min(Instant::now() + deadline)).await;
        }
    }
}

/// Drops a body that was never permitted, when the answer ends.
#[derive(Debug)]
pub(super) struct AnswerEnd(Arc<Upload>);

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        self.0.permit.send_replace(Permit::Dropped);
    }
}

impl AnswerEnd {
    pub(super) const fn new(upload: Arc<Upload>) -> Self {
        Self(upload)
    }
}

/// The body, as hyper's client sends it.
pub(super) struct UploadBody {
    body: Option<Incoming>,
    permission: Option<Permission>,
    upload: Arc<Upload>,
}

impl UploadBody {
    /// `body`, if there is one; one that `waits` is sent when the target permits it, or after [`CONTINUE_WAIT`].
    pub(super) fn new(body: Option<Incoming>, waits: bool) -> Self {
        let upload = Upload::new(waits && body.is_some());
        let permission = (waits && body.is_some()).then(|| permission(upload.permit.subscribe()));
        if body.is_none() {
            *upload.progress.lock() = Progress::Sent(Instant::now());
        }
        Self { body, permission, upload }
    }

    /// Its state while it is sent.
    pub(super) fn upload(&self) -> Arc<Upload> {
        self.upload.clone()
    }

    /// The client's body, when nothing of it was sent.
    pub(super) fn into_inner(self) -> Option<Incoming> {
        self.body
    }

    fn set_progress(&self, progress: Progress) {
        *self.upload.progress.lock() = progress;
    }
}

/// Whether the body may be sent, as soon as that is decided.
fn permission(mut permit: watch::Receiver<Permit>) -> Permission {
    Box::pin(async move {
        let waited = timeout(CONTINUE_WAIT, permit.wait_for(|permit| *permit != Permit::Waiting)).await;
        match waited.map(|permit| permit.map(|permit| *permit)) {
            Err(_) | Ok(Ok(Permit::Permitted)) => true,
            Ok(_) => {
                let _ = permit.wait_for(|permit| *permit == Permit::Dropped).await;
                false
            }
        }
    })
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(permission) = &mut this.permission {
            if !ready!(permission.as_mut().poll(cx)) {
                return Poll::Ready(Some(Err("the target answered before it wanted the body".into())));
            }
            this.permission = None;
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        let ended = body.is_end_stream();
        let now = Instant::now();
        match &frame {
            Poll::Pending => this.set_progress(Progress::Running { since: this.since(now), waits_for_client: true }),
            Poll::Ready(Some(Err(error))) => this.set_progress(Progress::ClientFailed { gone: is_gone(error) }),
            Poll::Ready(None) => this.set_progress(Progress::Sent(now)),
            Poll::Ready(Some(Ok(_))) if ended => this.set_progress(Progress::Sent(now)),
            Poll::Ready(Some(Ok(_))) => this.set_progress(Progress::Running { since: now, waits_for_client: false }),
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl UploadBody {
    /// When the present wait began.
    fn since(&self, now: Instant) -> Instant {
        match *self.upload.progress.lock() {
            Progress::Running { since, .. } => since,
            _ => now,
        }
    }
}

/// Whether the client closed the connection within its body; else the body is malformed.
fn is_gone(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    !io.is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput))
}
