//! Tests of the fetcher against a server on loopback.

mod dates;
mod files;
mod github;
mod schedule;
mod site;
mod telegram;
mod urls;
