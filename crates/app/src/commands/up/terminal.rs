//! The questions of `hezar up`: plain lines, so that every terminal, a screen reader and a pasted chat are served alike.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use super::input::read_bounded;

/// How long nothing comes after an empty line until what was pasted has ended.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest line that a terminal hands over (N_TTY_BUF_SIZE of Linux); what is longer is cut.
const TERMINAL_LINE: usize = 4095;

/// The person at the terminal, if there is one.
pub(super) struct Terminal {
    /// The lines that are typed; `None` when nobody can be asked.
    lines: Option<Receiver<String>>,
}

impl Terminal {
    /// Nobody is asked unless both the input and the messages are on a terminal.
    pub(super) fn new(may_ask: bool) -> Self {
        let is_attended = may_ask && io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { lines: is_attended.then(lines) }
    }

    pub(super) const fn can_ask(&self) -> bool {
        self.lines.is_some()
    }

    /// Everything that is typed or pasted after this question; empty when the first line is.
    pub(super) fn text(&self, question: &str) -> String {
        let Some(lines) = &self.lines else { return String::new() };
        say(&format!("{question}\n> "));
        pasted(lines)
    }

    /// Yes or no; the usual answer when the line is empty or nobody can be asked.
    pub(super) fn confirm(&self, question: &str, usual: bool) -> bool {
        let Some(lines) = &self.lines else { return usual };
        say(&format!("{question} {} ", if usual { "[Y/n]" } else { "[y/N]" }));
        let answer = lines.recv().unwrap_or_default();
        match answer.trim().to_lowercase().as_str() {
            "" => usual,
            answer => answer.starts_with('y') || answer.starts_with('ب'),
        }
    }
}

/// What is pasted may have empty lines in it: it ends with one after which nothing comes for a moment.
fn pasted(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        let is_at_end = text.is_empty() || text.ends_with("\n\n");
        let line =
            if is_at_end && !text.is_empty() { lines.recv_timeout(PAUSE) } else { lines.recv().map_err(Into::into) };
        match line {
            Ok(line) if text.is_empty() && line.trim().is_empty() => return text,
            Ok(line) => {
                if line.len() >= TERMINAL_LINE {
                    say(
                        "this line is longer than a terminal takes: save it in a file, and give its name to `hezar up`\n",
                    );
                }
                text.push_str(line.trim());
                text.push('\n');
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return text,
        }
    }
}

/// The lines of standard input, read by a thread of their own, so that a pause can be told from the end.
fn lines() -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// What a program or a file hands over on standard input; `None` when that is a terminal.
///
/// # Errors
/// It is too much, or it cannot be read.
pub(super) fn piped() -> anyhow::Result<Option<Vec<u8>>> {
    let stdin = io::stdin();
    if stdin.is_terminal() { Ok(None) } else { read_bounded(stdin).map(Some) }
}

fn say(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lines: &[&str]) -> Receiver<String> {
        let (sender, received) = mpsc::channel();
        lines.iter().for_each(|line| sender.send((*line).to_owned()).unwrap());
        received
    }

    #[test]
    fn empty_lines_within_what_is_pasted_do_not_end_it() {
        assert_eq!(pasted(&sent(&["a", "", "b", ""])), "a\n\nb\n\n");
        assert_eq!(pasted(&sent(&["", "b"])), "");
        assert_eq!(pasted(&sent(&[])), "");
    }

    #[test]
    fn an_empty_answer_is_the_usual_one() {
        let answers = |lines: &[&str], usual| Terminal { lines: Some(sent(lines)) }.confirm("?", usual);
        assert!(answers(&[""], true) && !answers(&[""], false));
        assert!(answers(&["Yes"], false) && answers(&["بله"], false) && !answers(&["no"], true));
        assert!(Terminal { lines: None }.confirm("?", true));
    }
}
