//! One step of the gate: a command that is shown, timed and has to succeed.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

/// How many tests the test runners counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

/// What has run so far.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    times: Vec<(String, Duration)>,
    tally: Tally,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), times: Vec::new(), tally: Tally::default() }
    }

    /// Runs a part of the gate that is not a command.
    pub(crate) fn inside(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        heading(name, "");
        let begun = Instant::now();
        let result = work();
        self.note(name, begun);
        result.with_context(|| format!("{name} failed"))
    }

    /// Runs a command.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        heading(name, &shown(command));
        let begun = Instant::now();
        let status = command.stdin(Stdio::null()).status().with_context(|| format!("{name}: cannot start"))?;
        self.note(name, begun);
        ensure!(status.success(), "{name} failed ({status})");
        Ok(())
    }

    /// Runs a command whose output is a test runner's: its counts are added up.
    pub(crate) fn tests(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        heading(name, &shown(command));
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name}: cannot start"))?;
        let output = child.stdout.take().context("no output")?;
        let mut screen = std::io::stdout().lock();
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            screen.write_all(&line)?;
            screen.write_all(b"\n")?;
            self.tally.add(&String::from_utf8_lossy(&line));
        }
        drop(screen);
        let status = child.wait()?;
        self.note(name, begun);
        ensure!(status.success(), "{name} failed ({status})");
        Ok(())
    }

    /// The times of all steps and the sum of all tests.
    pub(crate) fn report(&self) {
        println!("\n== times");
        for (name, time) in &self.times {
            println!("{:>8.1} s  {name}", time.as_secs_f64());
        }
        println!("{:>8.1} s  in all", self.started.elapsed().as_secs_f64());
        println!("{} passed, {} failed", self.tally.passed, self.tally.failed);
    }

    fn note(&mut self, name: &str, begun: Instant) {
        self.times.push((name.to_owned(), begun.elapsed()));
        println!("== {name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
}

impl Tally {
    /// Reads a closing line of `cargo test`: `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(word)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

fn heading(name: &str, detail: &str) {
    println!("\n== {name}{}{detail}", if detail.is_empty() { "" } else { ": " });
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
