//! Puts what a core prints into our log: so many lines in a minute.

use std::time::Instant;

use hezar_child::LineLimit;

use super::{CoreEvent, CoreSetup};

/// Puts what a core prints into our log.
pub(super) struct CoreLog<'a> {
    setup: &'a dyn CoreSetup,
    limit: LineLimit,
    /// The last line of trouble, to explain the end of the core.
    pub(super) last_trouble: Option<String>,
}

impl<'a> CoreLog<'a> {
    pub(super) fn new(setup: &'a dyn CoreSetup) -> Self {
        Self { setup, limit: LineLimit::new(Instant::now()), last_trouble: None }
    }

    /// Writes a line, so many in a minute; `Some` says how the core has ended.
    pub(super) fn hear(&mut self, event: CoreEvent) -> Option<String> {
        let line = match event {
            CoreEvent::Line(line) => line,
            CoreEvent::Ended(how) => return Some(format!("it has ended ({how})")),
        };
        let core = self.setup.name();
        if self.setup.level(&line) > tracing::Level::WARN {
            tracing::debug!(core, "{line}");
            return None;
        }
        if let Some(left_out) = self.limit.admit(Instant::now()) {
            if left_out > 0 {
                tracing::warn!(core, lines = left_out, "lines of the core's log were left out");
            }
            tracing::warn!(core, "{line}");
        }
        self.last_trouble = Some(line);
        None
    }
}
