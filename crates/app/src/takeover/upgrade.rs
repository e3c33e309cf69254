//! An upgrade that a command asks for: the running instance starts the new program, which takes over.

use std::{path::Path, time::Duration};

use anyhow::{anyhow, bail};
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    channel::Channel,
    handover::{Handover, Progress, Stage},
    messages::{UpgradeProgress, UpgradeRequest},
    program::Program,
};

/// How long a new program may take until it asks to take over.
const ASK: Duration = Duration::from_secs(30);
/// How long the reason may take to arrive of a program that has ended.
const REASON: Duration = Duration::from_secs(2);

/// Does what was asked, and tells the command how it goes.
pub(super) async fn upgrade(handover: &Handover, program: &Program, request: UpgradeRequest, channel: &Channel) {
    let outcome = match carry_out(handover, program, request, channel).await {
        Ok(done) => UpgradeProgress::Done(done),
        Err(error) => UpgradeProgress::Failed(format!("{error:#}")),
    };
    tell(channel, outcome).await;
}

async fn tell(channel: &Channel, progress: UpgradeProgress) {
    // An upgrade goes on when nobody watches any more.
    let _ = channel.send(&progress).await;
}

async fn carry_out(
    handover: &Handover,
    program: &Program,
    request: UpgradeRequest,
    channel: &Channel,
) -> anyhow::Result<String> {
    refuse_in_container()?;
    let step = |text: String| tell(channel, UpgradeProgress::Step(text));
    let binary = request.binary.unwrap_or_else(|| program.file().to_owned());
    let version = program.check(&binary).await?;
    step(format!("{} is {version}, and would start with the same arguments", binary.display())).await;
    if request.check {
        return Ok("nothing was changed".to_owned());
    }
    let mut progress = handover.progress();
    let mut child = program.start(&binary)?;
    let Some(pid) = child.id() else { bail!("{} ended at once", binary.display()) };
    step(format!("process {pid} starts")).await;
    let outcome = watch_start(&mut child, pid, &mut progress, &binary, step).await;
    if outcome.is_err() {
        // Whoever failed must not take over later.
        let _ = child.start_kill();
    }
    outcome.map(|()| {
        let (old, open) = (std::process::id(), handover.parts().connections.len());
        let connections = crate::output::count(open, "open connection");
        format!("process {pid} serves; process {old} ends with the last of its {connections}")
    })
}

/// Waits until the new process serves.
async fn watch_start<T: Future<Output = ()>>(
    child: &mut Child,
    pid: u32,
    progress: &mut watch::Receiver<Progress>,
    binary: &Path,
    step: impl Fn(String) -> T,
) -> anyhow::Result<()> {
    let ask_until = Instant::now() + ASK;
    let mut has_asked = false;
    loop {
        tokio::select! {
            biased;
            changed = progress.changed() => {
                changed?;
                let Progress { pid: of, stage } = progress.borrow_and_update().clone();
                match stage {
                    _ if of != pid => {}
                    Stage::Starting => {
                        has_asked = true;
                        step(format!("process {pid} has the store")).await;
                    }
                    Stage::Serves => return Ok(()),
                    Stage::Failed(reason) => return Err(anyhow!(reason)),
                    Stage::None => {}
                }
            }
            status = child.wait() => {
                let status = status?;
                // It may have said why, over the other connection.
                tokio::select! {
                    Ok(last) = progress.wait_for(|last| last.pid == pid && matches!(last.stage, Stage::Failed(_))) => {
                        if let Stage::Failed(reason) = &last.stage {
                            bail!("{reason}");
                        }
                    }
                    () = sleep(REASON) => {}
                }
                bail!("{} ended before it served ({status}); the log says why", binary.display());
            }
            () = sleep_until(ask_until), if !has_asked => {
                bail!("{} did not ask to take over within {} s", binary.display(), ASK.as_secs());
            }
        }
    }
}

/// The first process of a container ends the container with it.
fn refuse_in_container() -> anyhow::Result<()> {
    if std::process::id() == 1 {
        bail!(
            "this is the first process of a container, which ends with it: start a container with the new image instead, \
             or run the program beneath another one"
        );
    }
    Ok(())
}
