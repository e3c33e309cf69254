//! The soak of the running program: `cargo xtask soak --minutes N` builds and starts it.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let program = PathBuf::from(arguments.next().context("usage: soak PROGRAM MINUTES")?);
    let minutes = arguments.next().and_then(|text| text.to_str()?.parse::<u64>().ok());
    let minutes = minutes.context("usage: soak PROGRAM MINUTES")?;
    hezar_interop::soak(&program, Duration::from_secs(60 * minutes)).await
}
