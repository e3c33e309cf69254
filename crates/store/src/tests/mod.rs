//! Tests of the store: one story for every kind, then what only SQLite and the writer can get wrong.

mod control;
mod failing_disk;
mod files;
mod history;
mod laws;
mod memory;
mod model;
mod releasable;
mod story;
mod usage;
mod writing;
