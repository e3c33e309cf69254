//! Bodies of answers: text of our own, or what a node sends.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hezar_core::Stage;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::upload::AnswerEnd;
use crate::{AttemptError, failover::NodeLease, telemetry::AccessLogEntry};

/// The largest body that is waited for before its head is passed on.
const SMALL: u64 = 32 * 1024;

/// The body of an answer.
pub(super) enum ResponseBody {
    /// Text of our own.
    Text(Full<Bytes>),
    /// The target's.
    Node(Box<NodeBody>),
}

/// The body of an answer, as it comes or all of it.
pub(super) enum DownBody {
    Coming(Incoming),
    Whole(Full<Bytes>),
    /// The frames that were looked at, and the rest.
    Begun(VecDeque<Frame<Bytes>>, Incoming),
}

/// The body of a node's answer: the lease and the entry in the log end with it.
pub(super) struct NodeBody {
    body: DownBody,
    log_entry: AccessLogEntry,
    /// What ends the body before its time, until the client has been sent everything before it.
    broken: Option<hyper::Error>,
    _lease: NodeLease,
    _end: AnswerEnd,
}

impl DownBody {
    /// Waits for the whole body when it is small, so that its request can still be repeated; a large one comes as it comes.
    pub(super) async fn buffer_small(mut body: Incoming) -> hyper::Result<Self> {
        let small = body.size_hint().exact().filter(|length| (1..=SMALL).contains(length));
        let Some(length) = small else { return Ok(Self::Coming(body)) };
        let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(Self::Whole(Full::new(whole.freeze())))
    }

    /// Waits for the beginning of the body: `most` bytes, or all that come within `wait`.
    pub(super) async fn read_beginning(self, most: usize, wait: Duration) -> hyper::Result<(Bytes, Self)> {
        let mut body = match self {
            Self::Coming(body) => body,
            Self::Whole(body) => {
                // Its bytes are all there.
                let Ok(whole) = body.clone().collect().await.map(Collected::to_bytes);
                return Ok((whole.slice(..whole.len().min(most)), Self::Whole(body)));
            }
            begun @ Self::Begun(..) => return Ok((Bytes::new(), begun)),
        };
        let (mut frames, mut beginning, end) = (VecDeque::new(), BytesMut::new(), Instant::now() + wait);
        while beginning.len() < most {
            let Ok(Some(frame)) = timeout_at(end, body.frame()).await else { break };
            let frame = frame?;
            if let Some(data) = frame.data_ref() {
                beginning.extend_from_slice(data);
            }
            frames.push_back(frame);
        }
        beginning.truncate(most);
        Ok((beginning.freeze(), Self::Begun(frames, body)))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self {
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Begun(frames, body) => match frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(body).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Coming(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
            Self::Begun(frames, body) => frames.is_empty() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Coming(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
            Self::Begun(frames, body) => {
                let here: usize = frames.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
                let rest = body.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(here as u64));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(here as u64));
                }
                hint
            }
        }
    }
}

impl NodeBody {
    /// The next part. hyper throws away what it has not yet sent, the head too, when a body fails: it gets a turn to send it first, so
    /// that the client sees an answer that is cut short, and not none.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match self.body.poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.log_entry.code = match self.log_entry.end_reason() {
                    Some(refusal) => refusal.code(),
                    None => AttemptError::from_stream(Stage::Relay, &error).code.as_str(),
                };
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }
}

impl ResponseBody {
    pub(super) fn text(text: Bytes) -> Self {
        Self::Text(Full::new(text))
    }

    pub(super) fn empty() -> Self {
        Self::Text(Full::default())
    }

    pub(super) fn node(body: DownBody, end: AnswerEnd, log_entry: AccessLogEntry, lease: NodeLease) -> Self {
        Self::Node(Box::new(NodeBody { body, log_entry, broken: None, _lease: lease, _end: end }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::Node(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Node(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Node(body) => body.body.size_hint(),
        }
    }
}
