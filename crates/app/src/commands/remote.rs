//! The commands that change the running instance: `add`, `remove`, `rotate`, `bans`, `reload`.

use std::{io::Read, process::ExitCode};

use anyhow::{Context, bail};
use hezar_api::{
    AddReport, BanDto, LiftReport, LiftRequest, ReloadReport, RemoveReport, RemoveRequest, RotateReport, Saved,
};
use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use url::form_urlencoded;

use crate::{
    cli::{AddArgs, BansArgs, JsonArgs, RemoveArgs, RotateArgs},
    output::{self, Misuse},
    remote::{Refused, Remote},
};

/// The most that is added at a time, in bytes: what the API takes.
const MAX_INPUT: u64 = 32 << 20;

/// The query string of the parameters that are set.
pub(super) fn encode(query: &(impl Serialize + ?Sized)) -> anyhow::Result<String> {
    let mut text = form_urlencoded::Serializer::new(String::new());
    if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.append_pair(&name, &value);
        }
    }
    Ok(text.finish())
}

/// A text as one segment of a path.
pub(super) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

pub(super) async fn add(remote: Remote, args: AddArgs) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    for link in &args.links {
        if link == "-" {
            // Chats and lists come in any encoding; the instance reads them as it reads sources.
            std::io::stdin().take(MAX_INPUT + 1).read_to_end(&mut text).context("cannot read standard input")?;
        } else {
            text.extend_from_slice(link.as_bytes());
        }
        text.push(b'\n');
    }
    if text.len() as u64 > MAX_INPUT {
        bail!("there are more than {} to add: split them, or make them a [[source]]", output::bytes(MAX_INPUT));
    }
    let report: Saved<AddReport> =
        remote.post(&format!("/api/v1/nodes?allow_private={}", args.allow_private), text).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        let Saved { done: report, stored } = &report;
        for reject in &report.rejects {
            output::line(format!("line {}: refused ({}): {}", reject.line, reject.reject, reject.excerpt))?;
            reject.hint.iter().try_for_each(|hint| output::line(format!("  {}", hint.replace('\n', "\n  "))))?;
        }
        output::line(format!(
            "{} added, {} already known, {} refused",
            report.added,
            report.known,
            report.rejects.len()
        ))?;
        say_if_behind(*stored);
    }
    Ok(if report.done.ids.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) async fn remove(remote: Remote, args: RemoveArgs) -> anyhow::Result<ExitCode> {
    let request = serde_json::to_string(&RemoveRequest { ids: args.ids, ban: args.ban, ..RemoveRequest::default() })?;
    let report: Saved<RemoveReport> = remote.delete("/api/v1/nodes", request).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        let RemoveReport { removed, missing, banned } = report.done;
        let banned = if args.ban { format!(", {banned} banned") } else { String::new() };
        output::line(format!("{removed} removed, {missing} not found{banned}"))?;
        say_if_behind(report.stored);
    }
    Ok(if report.done.removed + report.done.banned == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) async fn rotate(remote: Remote, args: RotateArgs) -> anyhow::Result<ExitCode> {
    for id in &args.ids {
        let report: RotateReport = remote.post(&format!("/api/v1/nodes/{}/rotate", percent_encoded(id)), "").await?;
        if args.output.json {
            output::json(&report)?;
        } else {
            output::line(format!("{} is now {}", report.node, report.replacement))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn bans(remote: Remote, args: BansArgs) -> anyhow::Result<ExitCode> {
    if args.lift.is_empty() {
        let bans: Vec<BanDto> = remote.get("/api/v1/bans").await?;
        if args.output.json {
            bans.iter().try_for_each(output::json)?;
            return Ok(ExitCode::SUCCESS);
        }
        if bans.is_empty() {
            output::line("no node is banned; `hezar remove ID --ban` bans one")?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = output::now_ms();
        let mut table = output::table(["id", "banned", "name"]);
        for ban in &bans {
            table.add_row([ban.id.clone(), output::ago(now, Some(ban.since)), ban.name.clone()]);
        }
        output::line(table.to_string())?;
        output::line(format!("{} banned", bans.len()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let request = serde_json::to_string(&LiftRequest { ids: args.lift })?;
    let report: Saved<LiftReport> = remote.delete("/api/v1/bans", request).await?;
    if args.output.json {
        output::json(&report)?;
    } else {
        output::line(format!("{} lifted, {} not found", report.done.lifted, report.done.missing))?;
        say_if_behind(report.stored);
    }
    Ok(if report.done.lifted == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the instance accepted and could not write yet.
pub(super) fn say_if_behind(stored: bool) {
    if !stored {
        output::note("accepted, and not in the store yet: it cannot be written now (`hezar status` says why)");
    }
}

/// `hezar reload`.
pub(super) async fn reload(remote: Remote, args: JsonArgs) -> anyhow::Result<ExitCode> {
    let report: ReloadReport = remote.post("/api/v1/reload", "{}").await.map_err(as_misconfigured)?;
    if args.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    if report.changed.is_empty() && report.restart.is_empty() {
        output::line("nothing differs from the configuration in force")?;
    }
    for change in &report.changed {
        output::line(format!("applied: {change}"))?;
    }
    for key in &report.restart {
        output::line(format!("needs a restart: {key}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A configuration with mistakes ends with the same exit code as in every other command.
fn as_misconfigured(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == StatusCode::BAD_REQUEST => Misuse(refused.to_string()).into(),
        _ => error,
    }
}
