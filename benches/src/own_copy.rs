//! This program once more as a child: neither its descriptors nor its work are this one's.

use std::{io, process::Stdio};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::spawn_blocking,
};

/// Such a child, for as long as this lives.
#[derive(Debug)]
pub(crate) struct OwnCopy {
    process: Child,
}

impl OwnCopy {
    /// Starts it with these arguments, and gives the first line that it prints.
    pub(crate) async fn start(arguments: &[&str]) -> anyhow::Result<(Self, String)> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line).await?;
        Ok((Self { process }, line))
    }

    /// Lets it end.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

/// In the child: waits until the program that started it lets it end.
pub(crate) async fn until_ended() -> anyhow::Result<()> {
    spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    Ok(())
}
