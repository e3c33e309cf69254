//! When a protocol's header leaves: with the first payload, or alone when the client waits for the server to speak.
//!
//! A header in one packet with the payload saves a round trip's worth of packets and hides the header's length. But
//! where the server speaks first (SMTP, SSH, FTP) no payload comes, and the header must go alone after a short while.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// How long a reading client may keep its first bytes back before the header goes alone.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Who sends the header, and whether it was sent.
///
/// The two halves of a stream may live in two tasks, and a connection wakes only the task that wrote to it last. So the
/// reading half writes only as long as the writing half has never been used.
#[derive(Debug)]
pub(crate) enum FirstWrite {
    /// Nobody has sent anything. The timer runs from the first read.
    Waiting(Option<Pin<Box<Sleep>>>),
    /// The reading half sends the header and drives it out.
    Reader,
    /// The writing half has been used: everything is its business.
    Writer,
}

/// What the reading half has to do about the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReaderTask {
    /// Nothing.
    Nothing,
    /// Send the header alone, now.
    Send,
    /// Go on driving out what it sent.
    Drive,
}

impl FirstWrite {
    /// Nothing sent.
    pub(crate) const fn new() -> Self {
        Self::Waiting(None)
    }

    /// The writing half acts. True when the header is still to be sent, by it.
    pub(crate) fn writer_acts(&mut self) -> bool {
        let unsent = matches!(self, Self::Waiting(_));
        *self = Self::Writer;
        unsent
    }

    /// The reading half acts.
    pub(crate) fn reader_acts(&mut self, cx: &mut Context<'_>) -> ReaderTask {
        match self {
            Self::Writer => ReaderTask::Nothing,
            Self::Reader => ReaderTask::Drive,
            Self::Waiting(timer) => {
                let timer = timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
                match timer.as_mut().poll(cx) {
                    Poll::Pending => ReaderTask::Nothing,
                    Poll::Ready(()) => {
                        *self = Self::Reader;
                        ReaderTask::Send
                    }
                }
            }
        }
    }
}
