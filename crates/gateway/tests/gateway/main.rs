//! The gateway as its clients see it: real sockets on loopback in front, fake dialers behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod accounts;
mod attacks;
mod clients;
mod connections;
mod datagrams;
mod drain;
mod failover;
mod feedback;
mod http;
mod http_nodes;
mod http_wild;
mod inbounds;
mod limits;
mod listeners;
mod real_clients;
mod selections;
mod shared_sessions;
mod socks;
mod tls;
mod users;
mod world;
