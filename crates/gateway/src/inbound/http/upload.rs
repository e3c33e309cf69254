//! The body of a request on its way to a node: when it may begin, how far it has come, and whose fault it is when it stops.
//!
//! ```text
//!   Expect: 100-continue: Wait ──100 from the target, or a second──► Go ──► Sent
//!                           └──an error is answered──► Answered ──the answer is over──► Over: the body is given up
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

/// How long a target may take to say `100 Continue`; many never do (RFC 9110 §10.1.1). curl waits as long.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

type BodyError = Box<dyn Error + Send + Sync>;
type Permission = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// Whether a body that waits for `100 Continue` may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permit {
    Wait,
    Go,
    Answered,
    Over,
}

/// How far the body has come.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// A part went to the node then; `of_client` when the client's next part is waited for, and not the node.
    Running {
        since: Instant,
        of_client: bool,
    },
    Sent(Instant),
    /// The client's bytes are malformed, or it is gone.
    ClientFailed {
        gone: bool,
    },
}

/// Why an upload is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The client sends nothing more.
    ByClient,
    /// The node takes nothing more, or does not answer.
    ByNode,
}

/// What is known about the body of one request while a node takes it.
#[derive(Debug)]
pub(super) struct Upload {
    progress: Mutex<Progress>,
    permit: watch::Sender<Permit>,
}

impl Upload {
    /// Of a request whose body, if any, waits for `100 Continue` or not.
    fn new(waits: bool) -> Arc<Self> {
        let progress = Mutex::new(Progress::Running { since: Instant::now(), of_client: false });
        Arc::new(Self { progress, permit: watch::Sender::new(if waits { Permit::Wait } else { Permit::Go }) })
    }

    /// The target has said `100 Continue`.
    pub(super) fn go(&self) {
        self.permit_if_waiting(Permit::Go);
    }

    /// The answer has begun. A body that still waits is not sent when it is an error; else the target goes on to read it.
    pub(super) fn answered(&self, status: StatusCode) {
        let is_error = status.is_client_error() || status.is_server_error();
        self.permit_if_waiting(if is_error { Permit::Answered } else { Permit::Go });
    }

    fn permit_if_waiting(&self, next: Permit) {
        self.permit.send_if_modified(|permit| {
            let waits = *permit == Permit::Wait;
            if waits {
                *permit = next;
            }
            waits
        });
    }

    /// Whether the client is to blame for the end of the upload, and then whether it is gone.
    pub(super) fn client_failed(&self) -> Option<bool> {
        match *self.progress.lock() {
            Progress::ClientFailed { gone } => Some(gone),
            _ => None,
        }
    }

    /// Ends when `idle` has passed without a part of the body, or `deadline` since its last one was sent.
    pub(super) async fn overdue(&self, idle: Duration, deadline: Duration) -> Stopped {
        loop {
            let (end, stopped) = match *self.progress.lock() {
                Progress::Running { since, of_client: true } => (since + idle, Stopped::ByClient),
                Progress::Running { since, of_client: false } => (since + idle, Stopped::ByNode),
                Progress::Sent(at) => (at + deadline, Stopped::ByNode),
                Progress::ClientFailed { .. } => (Instant::now() + idle, Stopped::ByClient),
            };
            if Instant::now() >= end {
                return stopped;
            }
            // A body that ends meanwhile brings its end forward.
            sleep_until(end.min(Instant::now() + deadline)).await;
        }
    }
}

/// Ends a body that was never permitted, when its answer is over.
#[derive(Debug)]
pub(super) struct AnswerEnd(Arc<Upload>);

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        self.0.permit.send_replace(Permit::Over);
    }
}

impl AnswerEnd {
    pub(super) const fn new(upload: Arc<Upload>) -> Self {
        Self(upload)
    }
}

/// The body itself.
pub(super) struct UpBody {
    body: Option<Incoming>,
    permission: Option<Permission>,
    upload: Arc<Upload>,
}

impl UpBody {
    /// `body`, if there is one; one that `waits` is sent when the target says so, or after a short time.
    pub(super) fn new(body: Option<Incoming>, waits: bool) -> Self {
        let upload = Upload::new(waits && body.is_some());
        let permission = (waits && body.is_some()).then(|| permission(upload.permit.subscribe()));
        if body.is_none() {
            *upload.progress.lock() = Progress::Sent(Instant::now());
        }
        Self { body, permission, upload }
    }

    /// What is known about it while it is sent.
    pub(super) fn upload(&self) -> Arc<Upload> {
        self.upload.clone()
    }

    /// The client's body again, when nothing of it was sent.
    pub(super) fn into_inner(self) -> Option<Incoming> {
        self.body
    }

    fn note(&self, progress: Progress) {
        *self.upload.progress.lock() = progress;
    }
}

/// Whether the body may go, once that is known.
fn permission(mut permit: watch::Receiver<Permit>) -> Permission {
    Box::pin(async move {
        let waited = timeout(CONTINUE_WAIT, permit.wait_for(|permit| *permit != Permit::Wait)).await;
        match waited.map(|permit| permit.map(|permit| *permit)) {
            Err(_) | Ok(Ok(Permit::Go)) => true,
            Ok(_) => {
                let _ = permit.wait_for(|permit| *permit == Permit::Over).await;
                false
            }
        }
    })
}

impl Body for UpBody {
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
            Poll::Pending => this.note(Progress::Running { since: this.since(now), of_client: true }),
            Poll::Ready(Some(Err(error))) => this.note(Progress::ClientFailed { gone: is_gone(error) }),
            Poll::Ready(None) => this.note(Progress::Sent(now)),
            Poll::Ready(Some(Ok(_))) if ended => this.note(Progress::Sent(now)),
            Poll::Ready(Some(Ok(_))) => this.note(Progress::Running { since: now, of_client: false }),
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

impl UpBody {
    /// Since when the present wait lasts.
    fn since(&self, now: Instant) -> Instant {
        match *self.upload.progress.lock() {
            Progress::Running { since, .. } => since,
            _ => now,
        }
    }
}

/// Whether the client closed the connection within its body, rather than sent a malformed one.
fn is_gone(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    !io.is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput))
}
