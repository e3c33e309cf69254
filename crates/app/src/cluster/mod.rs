//! This instance among several that share a store: who the others are, and which part of the work is its own.

mod beat;
mod database_clock;
mod follow_start;
mod membership;
mod metrics;
mod own;
mod roster;
#[cfg(test)]
mod tests;

pub(crate) use database_clock::DatabaseClock;
pub(crate) use follow_start::FollowStart;
pub(crate) use membership::{DrainError, KnownMember, Membership, OwnFacts};
pub(crate) use metrics::register;
pub(crate) use own::{identity, name};
