//! Probes that were saved because clients' traffic showed that a node works. They are spent on dead nodes that may be back.

/// The most probes that are saved up.
const MOST: f32 = 128.0;

/// A stock of probes, in fractions: a probe that is put off by half an interval saves half a probe.
#[derive(Debug, Default)]
pub(super) struct SavedProbes(f32);

impl SavedProbes {
    /// Adds a part of a probe, 0 to 1.
    pub(super) fn add(&mut self, part: f32) {
        self.0 = (self.0 + part).min(MOST);
    }

    /// Takes a part of a probe; false when there is less.
    pub(super) fn try_take(&mut self, part: f32) -> bool {
        let enough = self.0 >= part;
        if enough {
            self.0 -= part;
        }
        enough
    }
}
