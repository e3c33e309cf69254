//! `hezar alert`: the alerts that the running instance sends itself.

use std::process::ExitCode;

use anyhow::anyhow;
use hezar_api::{AlertDto, AlertTestReport};
use hyper::StatusCode;

use super::remote::percent_encoded;
use crate::{
    cli::{AlertCommand, JsonArgs, NamedArgs},
    output,
    remote::{Refused, Remote},
};

/// The path of the alerts.
const PATH: &str = "/api/v1/alerts";

pub(super) async fn alert(remote: Remote, command: AlertCommand) -> anyhow::Result<ExitCode> {
    match command {
        AlertCommand::List(args) => list(&remote, args).await,
        AlertCommand::Test(args) => test(&remote, args).await,
    }
}

async fn list(remote: &Remote, JsonArgs { json }: JsonArgs) -> anyhow::Result<ExitCode> {
    let alerts: Vec<AlertDto> = remote.get(PATH).await?;
    if json {
        alerts.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if alerts.is_empty() {
        output::line("there is no alert; an [[alert]] in the configuration tells of troubles (docs/alerts.md)")?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = output::now_ms();
    let mut table = output::table(["name", "receiver", "via", "trouble", "state", "last message"]);
    for alert in &alerts {
        let mut last = alert.last_message.map_or_else(String::new, |at| output::ago(now, Some(at)));
        if let Some(error) = &alert.last_error {
            last = format!("{last}, failed: {error}");
        }
        for trouble in &alert.troubles {
            let state = trouble.text.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            let state = format!("{}{state}", trouble.state);
            table.add_row([&alert.name, &alert.receiver, &alert.via, &trouble.condition, &state, &last]);
        }
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn test(remote: &Remote, args: NamedArgs) -> anyhow::Result<ExitCode> {
    let path = format!("{PATH}/{}/test", percent_encoded(&args.name));
    let report: AlertTestReport = remote.post(&path, "").await.map_err(|error| explained(error, &args.name))?;
    if args.output.json {
        output::json(&report)?;
    } else {
        output::line(match &report.error {
            None => format!("the receiver of {} has taken the message", args.name),
            Some(error) => format!("the message of {} did not arrive: {error}", args.name),
        })?;
    }
    Ok(if report.sent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says which alert is not there.
fn explained(error: anyhow::Error, name: &str) -> anyhow::Error {
    let is_absent = error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::NOT_FOUND);
    if is_absent { anyhow!("there is no alert named {name:?}; `hezar alert list` shows their names") } else { error }
}
