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
    if args.json {
        found.iter().try_for_each(output::json)?;
    } else {
        output::line(shown(&found, output::terminal_columns()))?;
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

/// A line for each finding; in a terminal of so many columns, what is longer is continued below where its text begins.
fn shown(found: &[Finding], columns: Option<u16>) -> String {
    let mut table = output::table(["", "check", "what was found"]);
    if let Some(columns) = columns {
        table.set_width(columns);
    }
    for (index, right) in [1, 1, 0].into_iter().enumerate() {
        table.column_mut(index).into_iter().for_each(|column| {
            column.set_padding((0, right));
        });
    }
    for finding in found {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "-",
        };
        // A program that reads this finds everything about one thing on one line.
        let arrow = if columns.is_some() { "\n-> " } else { " -> " };
        let advice = finding.advice.as_ref().map(|advice| format!("{arrow}{advice}")).unwrap_or_default();
        table.add_row([verdict.to_owned(), finding.check.to_owned(), format!("{}{advice}", finding.text)]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_disk() -> Finding {
        Finding {
            check: "disk",
            verdict: Verdict::Fail,
            text: "1.0 MiB of 1.0 GiB free in the folder of the data, and nothing can be written there any more"
                .to_owned(),
            advice: Some("make room".to_owned()),
        }
    }

    #[test]
    fn a_line_says_what_to_do() {
        let shown = shown(&[full_disk()], None);
        let line = shown.lines().last().unwrap();
        assert!(line.starts_with("FAIL disk") && line.ends_with("there any more -> make room"), "{line}");
    }

    #[test]
    fn lines_fit_the_terminal() {
        let shown = shown(&[full_disk()], Some(60));
        assert!(shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
        assert_eq!(shown.lines().last().unwrap().trim_start(), "-> make room");
    }
}
