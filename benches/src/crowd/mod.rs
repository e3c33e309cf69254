//! Clients that cost and do not behave, in a process of their own: neither their descriptors nor their work are the lab's.

mod carrier;
mod clients;

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::own_copy::{OwnCopy, until_ended};

pub use carrier::carrier;
use clients::{flood, open};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// They have a tunnel and do not use it.
    Idle,
    /// They ask for much and do not read it.
    Reader,
    /// They send a byte now and then.
    Writer,
    /// They send head lines without an end.
    Bomb,
    /// They send what is no protocol; the count is one of new connections a second.
    Garbage,
}

/// Some of one sort, for as long as this lives.
#[derive(Debug)]
pub struct Crowd {
    copy: OwnCopy,
    /// How many there are.
    pub size: usize,
}

impl Crowd {
    /// Starts this program again with the hidden command `clients`, which calls [`play`], and waits until they stand.
    ///
    /// # Errors
    /// When fewer than nine in ten could be opened.
    pub async fn gather(sort: Sort, proxy: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let name = sort.to_possible_value().context("a sort without a name")?;
        let (proxy, wanted) = (proxy.to_string(), count.to_string());
        let (copy, line) = OwnCopy::start(&["clients", name.get_name(), &proxy, &wanted]).await?;
        let size = line.trim().parse().with_context(|| format!("{count} clients: {line:?}"))?;
        ensure!(size * 10 >= count * 9, "only {size} of {count} could be opened");
        Ok(Self { copy, size })
    }

    /// Ends them.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub async fn disperse(self) -> anyhow::Result<()> {
        self.copy.end().await
    }
}

/// Is such clients until standard input ends; says how many there are.
///
/// # Errors
/// When there may not be as many descriptors.
pub async fn play(sort: Sort, proxy: SocketAddr, count: usize) -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let (clients, flood) = match sort {
        Sort::Garbage => (Vec::new(), Some(tokio::spawn(flood(proxy, count as u64)))),
        _ => (open(sort, proxy, count).await?, None),
    };
    println!("{}", if flood.is_some() { count } else { clients.len() });
    until_ended().await
}
