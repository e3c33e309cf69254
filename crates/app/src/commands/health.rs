//! `hezar health`: whether the running instance is ready to serve, as an exit code.

use std::{process::ExitCode, time::Duration};

use hezar_api::{HealthzDto, ReadyDto};

use crate::{cli::HealthArgs, output, remote::Remote};

/// Exit code 0 when the instance is ready (with `--live`: when it answers), else 1 with one line that says why.
///
/// Needs no token, and neither reads nor writes the data folder where the instance is not found through it.
pub(super) async fn health(remote: anyhow::Result<Remote>, args: HealthArgs) -> anyhow::Result<ExitCode> {
    let answer = match remote {
        Ok(remote) => ask(&remote, args).await,
        Err(error) => Err(error),
    };
    let health = answer.unwrap_or_else(|error| ReadyDto { ready: false, reason: Some(format!("{error:#}")) });
    if args.output.json {
        output::json(&health)?;
    } else if health.ready {
        output::line("ready")?;
    } else {
        output::note(format!("not ready: {}", health.reason.as_deref().unwrap_or("no reason given")));
    }
    Ok(if health.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(remote: &Remote, args: HealthArgs) -> anyhow::Result<ReadyDto> {
    let longest = Duration::from_secs(args.timeout);
    if args.live {
        let (status, _): (_, HealthzDto) = remote.get_any("/healthz", longest).await?;
        let reason = (!status.is_success()).then(|| format!("/healthz answered {status}"));
        return Ok(ReadyDto { ready: reason.is_none(), reason });
    }
    let (status, ready): (_, ReadyDto) = remote.get_any("/readyz", longest).await?;
    Ok(ReadyDto { ready: ready.ready && status.is_success(), ..ready })
}
