//! Tests of the fetcher against a server on loopback.

mod content;
mod cut;
mod dates;
mod files;
mod github;
mod schedule;
mod site;
mod subscription;
mod telegram;
mod urls;
