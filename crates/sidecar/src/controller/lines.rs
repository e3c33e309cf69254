//! Reads an answer that is one JSON value after another, such as a log.

use std::{collections::VecDeque, marker::PhantomData};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{ControllerError, client::Wire};

/// The longest value that is read, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// JSON values that come one after another, each on a line of its own. Dropping this ends the connection.
pub struct JsonLines<T> {
    body: Incoming,
    wire: Option<Wire>,
    buffer: VecDeque<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for JsonLines<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> JsonLines<T> {
    pub(super) const fn new(body: Incoming, wire: Wire) -> Self {
        Self { body, wire: Some(wire), buffer: VecDeque::new(), value: PhantomData }
    }

    /// The next value; `None` when the core has ended the answer. Cancel safe.
    ///
    /// # Errors
    /// [`ControllerError::Shape`] for a line that is no such value, after which the next may be; others end the answer.
    pub async fn next(&mut self) -> Result<Option<T>, ControllerError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(ControllerError::Body);
            }
            let Some(more) = self.more().await? else { return Ok(None) };
            self.buffer.extend(more);
        }
    }

    /// The next bytes of the body.
    async fn more(&mut self) -> Result<Option<Bytes>, ControllerError> {
        loop {
            let frame = match &mut self.wire {
                Some(wire) => tokio::select! {
                    biased;
                    frame = self.body.frame() => frame,
                    _ended = wire => {
                        self.wire = None;
                        continue;
                    }
                },
                None => self.body.frame().await,
            };
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
