//! The gateway as its clients see it: real sockets on loopback in front, fake dialers behind.

#![allow(clippy::unwrap_used)] // Lint exemptions for tests stop at test functions; these are their helpers.

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
mod inbounds_hysteria2;
mod inbounds_shadowsocks;
mod limits;
mod listeners;
mod real_clients;
mod selections;
mod shared_sessions;
mod socks;
mod tls;
mod users;
mod world;
