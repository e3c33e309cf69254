//! A single pass over all nodes, as `hezar probe` makes it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Runner, probe::run_control_checks};
use crate::{Progress, context::ProbeContext};

impl Runner {
    /// A runner that probes every node once.
    pub(crate) fn once(context: Arc<ProbeContext>) -> Self {
        Self { pass: Some(Progress::default()), ..Self::endless(context) }
    }

    /// Works through all the nodes once.
    pub(crate) async fn sweep(
        mut self,
        cancel: &CancellationToken,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Progress {
        self.fill();
        let total = self.schedule.len();
        if let Some(pass) = &mut self.pass {
            pass.total = total;
        }
        while !(self.schedule.is_empty() && self.running.is_empty()) {
            self.start();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id() => self.collect(done),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            if let Some(pass) = &self.pass {
                progress(pass);
            }
        }
        self.conclude(cancel).await;
        self.tasks.shutdown().await;
        self.context.metrics.running.set(0);
        self.pass.unwrap_or_default()
    }

    /// Decides about what the guard still holds at the end of a pass.
    async fn conclude(&mut self, cancel: &CancellationToken) {
        if self.guard.held() == 0 || cancel.is_cancelled() {
            return;
        }
        let (before, now) = (self.guard.state(), self.now());
        let freed = if self.context.controls.possible() {
            let found = run_control_checks(&self.context).await;
            self.guard.control(found, now)
        } else {
            self.guard.conclude(now)
        };
        self.settle(before, freed, now);
    }
}
