//! `hezar doctor`: what is well on this machine and what is not, one line each, with what to do.

use std::process::ExitCode;

use super::GlobalArgs;
use crate::{
    cli::JsonArgs,
    doctor::{self, Finding, Verdict},
    output,
};

/// Exit code 0 when nothing has failed, else 1.
pub(super) async fn doctor(global: &GlobalArgs, args: JsonArgs) -> anyhow::Result<ExitCode> {
    let found = match global.config() {
        Ok(config) => doctor::examine(&config, global.running().as_ref()).await,
        // Where things lie is said there: nothing else can be looked at.
        Err(error) => vec![doctor::unreadable_configuration(&error)],
    };
    for finding in &found {
        if args.json {
            output::json(finding)?;
        } else {
            output::line(shown(finding))?;
        }
    }
    let count = |verdict| found.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, warned) = (count(Verdict::Fail), count(Verdict::Warn));
    if !args.json {
        let warnings = output::count(warned, "warning");
        output::line(match failed {
            0 => format!("nothing has failed, {warnings}"),
            _ => format!("{failed} failed, {warnings}"),
        })?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(finding: &Finding) -> String {
    let verdict = match finding.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "-   ",
    };
    let advice = finding.advice.as_ref().map(|advice| format!(" -> {advice}")).unwrap_or_default();
    format!("{verdict}  {:<16}  {}{advice}", finding.check, finding.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_to_do() {
        let finding = Finding {
            check: "disk",
            verdict: Verdict::Fail,
            text: "1.0 MiB of 1.0 GiB free".to_owned(),
            advice: Some("make room".to_owned()),
        };
        assert_eq!(shown(&finding), "FAIL  disk              1.0 MiB of 1.0 GiB free -> make room");
    }
}
