//! Decides when the header of a protocol is sent: together with the first payload, or alone when the other side is to speak
//! first.
//!
//! A header in one packet with the payload saves a packet and hides the header's length. But where the server speaks first
//! (SMTP, SSH, FTP), no payload comes, and the header must be sent alone after a short while.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// How long the stream may be read without a write before the header is sent alone.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Which half of the stream sends the header, and whether it was sent.
///
/// The two halves of a stream may be used by two tasks, and a connection wakes only the task that wrote to it last. So the
/// reading half writes only as long as the writing half has never been used.
#[derive(Debug)]
pub(crate) enum FirstWrite {
    /// The header must not be sent yet: a server does not know whether it will serve the request.
    Held,
    /// Nobody has sent anything. The timer runs from the first read.
    Waiting(Option<Pin<Box<Sleep>>>),
    /// The reading half sends the header and flushes it.
    Reader,
    /// The writing half has been used. It does all the writing from now on.
    Writer,
}

/// What the reading half has to do about the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReaderTask {
    /// Nothing.
    Nothing,
    /// Send the header alone, now.
    Send,
    /// Continue to flush what it has sent.
    Drive,
}

impl FirstWrite {
    /// Nothing sent.
    pub(crate) const fn new() -> Self {
        Self::Waiting(None)
    }

    /// Nothing sent, and nothing may be sent before [`FirstWrite::release`] or a write.
    pub(crate) const fn held() -> Self {
        Self::Held
    }

    /// Lets a header go that is held.
    pub(crate) fn release(&mut self) {
        if matches!(self, Self::Held) {
            *self = Self::new();
        }
    }

    /// Takes note that the writing half is used. Returns true when it has to send the header.
    pub(crate) fn writer_acts(&mut self) -> bool {
        let unsent = matches!(self, Self::Held | Self::Waiting(_));
        *self = Self::Writer;
        unsent
    }

    /// Takes note that the writing half ends. Returns true when it has to send the header; one that is held stays unsent.
    pub(crate) fn writer_ends(&mut self) -> bool {
        !matches!(self, Self::Held) && self.writer_acts()
    }

    /// Says what the reading half has to do.
    pub(crate) fn reader_acts(&mut self, cx: &mut Context<'_>) -> ReaderTask {
        match self {
            Self::Held | Self::Writer => ReaderTask::Nothing,
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
