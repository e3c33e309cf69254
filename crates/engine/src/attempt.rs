//! The deadline of one attempt to reach a target, and the stages that it goes through.

use std::{future::Future, time::Duration};

use hezar_core::Stage;
use tokio::time::{Instant, timeout_at};

use crate::{Cause, DialError};

/// The time limits of one attempt. It is cheap to copy; a dialer passes it on to the dialer beneath it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    started: Instant,
    deadline: Instant,
    /// The longest time for reaching the server, and for each handshake with it.
    limits: Option<(Duration, Duration)>,
}

impl Attempt {
    /// An attempt that may take `limit` from now.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        let started = Instant::now();
        // An hour stands in for "for ever", so that no sum overflows.
        Self { started, deadline: started + limit.min(Duration::from_secs(3600)), limits: None }
    }

    /// The same attempt with an earlier end: `limit` from now, or its own deadline, whichever comes first.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self { deadline: self.deadline.min(Self::within(limit).deadline), ..self }
    }

    /// The same attempt with limits for its parts: `connect` for each of resolving and connecting, `handshake` for each of
    /// the security, transport and protocol handshakes. The deadline stays.
    #[must_use]
    pub const fn with_stage_limits(self, connect: Duration, handshake: Duration) -> Self {
        Self { limits: Some((connect, handshake)), ..self }
    }

    /// When it ends.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time left; zero when it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The time since the attempt began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs one stage: a failure or the deadline becomes a [`DialError`] that names it.
    ///
    /// # Errors
    /// The future's own failure, or [`Cause::Timeout`].
    pub async fn stage<T, E: Into<Cause>>(
        &self,
        stage: Stage,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, DialError> {
        match timeout_at(self.stage_deadline(stage), future).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(DialError::new(stage, error.into())),
            Err(_) => Err(DialError::new(stage, Cause::Timeout)),
        }
    }

    /// Bounds what another dialer does for this one. That dialer names its own stages. If it exceeds the deadline, the failure
    /// names `stage`.
    ///
    /// # Errors
    /// The future's own failure, or [`Cause::Timeout`].
    pub(crate) async fn bound<T>(
        &self,
        stage: Stage,
        dialling: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        match timeout_at(self.deadline, dialling).await {
            Ok(result) => result,
            Err(_) => Err(DialError::new(stage, Cause::Timeout)),
        }
    }

    fn stage_deadline(&self, stage: Stage) -> Instant {
        let limit = match (self.limits, stage) {
            (Some((connect, _)), Stage::Resolve | Stage::Connect) => connect,
            (Some((_, handshake)), Stage::Security | Stage::Transport | Stage::Handshake) => handshake,
            _ => return self.deadline,
        };
        Instant::now().checked_add(limit).map_or(self.deadline, |end| end.min(self.deadline))
    }
}
