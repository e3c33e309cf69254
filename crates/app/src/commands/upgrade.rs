//! `hezar upgrade`: the running instance is replaced by a new process, which takes over its clients.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};

use super::GlobalArgs;
use crate::{
    cli::UpgradeArgs,
    output,
    takeover::{Channel, Request, UpgradeProgress, UpgradeRequest, connect},
};

/// How long the running instance may be silent; a large store takes a while to move.
const SILENCE: Duration = Duration::from_secs(900);

/// What is said when the instance ends the conversation, or does not begin one.
const BROKE_OFF: &str = "the running instance broke off; `hezar status` says whether one serves";

pub(super) async fn upgrade(global: &mut GlobalArgs, args: UpgradeArgs) -> anyhow::Result<ExitCode> {
    global.follow_running();
    let data = global.reader().data_folder();
    let binary = args.binary.map(|file| std::path::absolute(&file).context("the path of the program")).transpose()?;
    let stream =
        connect(&data).await.with_context(|| unreachable(&data))?.ok_or_else(|| anyhow!(unreachable(&data)))?;
    let channel = Channel::new(stream);
    channel.send(&Request::Upgrade(UpgradeRequest { binary, check: args.check })).await.context(BROKE_OFF)?;
    loop {
        match channel.receive(SILENCE).await.context(BROKE_OFF)? {
            UpgradeProgress::Step(text) => output::note(text),
            UpgradeProgress::Done(text) => {
                output::line(text)?;
                return Ok(ExitCode::SUCCESS);
            }
            UpgradeProgress::Failed(reason) => {
                bail!("{reason}\nnothing was changed: the instance before serves as ever")
            }
        }
    }
}

fn unreachable(data: &Path) -> String {
    format!(
        "no instance that could be upgraded runs with the data folder {} (--data or --config name another one); \
         it has to be asked by the user that runs it, or by root",
        data.display()
    )
}
