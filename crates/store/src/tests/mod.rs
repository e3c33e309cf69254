//! Tests of the store: one suite for SQLite and PostgreSQL, then what only one of them and the writer can get wrong.

mod control;
mod copy;
mod failing_disk;
mod files;
mod following;
mod history;
mod laws;
mod lost_answers;
mod members;
mod memory;
mod model;
mod place;
mod releasable;
mod schema_page;
mod server;
mod story;
mod usage;
mod writing;
