//! Puts outbounds into a running Xray and takes them out, by the program's own `api` commands.
//!
//! Xray's API is gRPC with a message type for every protocol and transport; its command `xray api` makes these messages of the same JSON as in
//! configurations. A call of it takes about 10 ms, and one more ms for each outbound.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use hezar_child::{Launcher, spawn_from_lasting_thread, without_control};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// How long one call may take. Xray adds 1,000 outbounds within 2 s.
const LIMIT: Duration = Duration::from_secs(30);
/// The most that is kept of what a command prints, in bytes.
const MOST_OUTPUT: u64 = 64 << 10;
/// The most that is shown of a refusal, in characters.
const MOST_REASON: usize = 300;
/// Outbounds in one call.
const AT_ONCE: usize = 200;

/// Why Xray could not be told something.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum XrayApiError {
    /// Its command could not be run.
    #[error("the command `xray api` cannot be run: {0}")]
    Command(String),
    /// Its command did not end in time.
    #[error("the command `xray api` did not end within {} s", LIMIT.as_secs())]
    Late,
    /// It failed for another reason than the outbound; the text is its own.
    #[error("Xray says: {reason}")]
    Failed {
        /// The outbound that was being added then.
        adding: Option<String>,
        /// What it said.
        reason: String,
    },
}

/// What became of outbounds that were to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AddedOutbounds {
    /// Those that Xray refused, by tag, and what it said.
    pub(super) refused: Vec<(String, String)>,
}

/// A client of the API of one running Xray.
#[derive(Clone, Debug)]
pub(super) struct XrayApi {
    launcher: Launcher,
    program: PathBuf,
    socket: PathBuf,
}

impl XrayApi {
    /// The API behind `socket` of the Xray that `program` is.
    pub(super) const fn new(launcher: Launcher, program: PathBuf, socket: PathBuf) -> Self {
        Self { launcher, program, socket }
    }

    /// Adds outbounds, each with its tag and its JSON. One that Xray refuses harms no other one.
    ///
    /// # Errors
    /// [`XrayApiError`] when Xray cannot be told any more; some may have been added.
    pub(super) async fn add(&self, mut outbounds: &[(String, String)]) -> Result<AddedOutbounds, XrayApiError> {
        let mut added = AddedOutbounds::default();
        while !outbounds.is_empty() {
            let (now, later) = outbounds.split_at(outbounds.len().min(AT_ONCE));
            let bodies: Vec<&str> = now.iter().map(|(_, json)| json.as_str()).collect();
            let text = format!("{{\"outbounds\":[{}]}}", bodies.join(","));
            let output = self.run("ado", ["stdin:"], text.as_bytes()).await?;
            if output.status.success() {
                outbounds = later;
                continue;
            }
            // It stops at the first one that it refuses, whose tag it has printed last.
            let refused = now.iter().position(|(tag, _)| Some(tag.as_str()) == output.last_added());
            let Some(refused) = refused.filter(|_| output.is_about_the_outbound()) else {
                return Err(output.failure());
            };
            let (before, rest) = outbounds.split_at(refused + 1);
            added.refused.extend(before.last().map(|(tag, _)| (tag.clone(), output.reason())));
            outbounds = rest;
        }
        Ok(added)
    }

    /// Takes outbounds out. Streams over them go on. A tag that there is no outbound of is passed over.
    ///
    /// # Errors
    /// [`XrayApiError`].
    pub(super) async fn remove(&self, tags: &[&str]) -> Result<(), XrayApiError> {
        for tags in tags.chunks(AT_ONCE) {
            let output = self.run("rmo", tags.iter().copied(), &[]).await?;
            if !output.status.success() {
                return Err(output.failure());
            }
        }
        Ok(())
    }

    async fn run<'a>(
        &self,
        command: &str,
        words: impl IntoIterator<Item = &'a str>,
        input: &[u8],
    ) -> Result<Output, XrayApiError> {
        let mut server = std::ffi::OsString::from("--server=unix://");
        server.push(&self.socket);
        let mut launched = self.launcher.command(&self.program);
        launched.args(["api", command]).arg(server).args(["-t", "25"]).args(words);
        launched.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        if let Some(home) = self.socket.parent() {
            launched.current_dir(home);
        }
        let failed = |error: std::io::Error| XrayApiError::Command(error.to_string());
        let mut child = spawn_from_lasting_thread(launched).await.map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let work = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A command that refuses may not read to the end.
                    let _ = stdin.write_all(input).await;
                }
            };
            let ((), stdout, stderr, status) = tokio::join!(write, read(stdout), read(stderr), child.wait());
            Ok(Output { status: status.map_err(failed)?, stdout, stderr })
        };
        timeout(LIMIT, work).await.unwrap_or(Err(XrayApiError::Late))
    }
}

/// What a program prints that ends by itself; `None` unless it ends with success.
pub(super) async fn run_to_end(
    launcher: &Launcher,
    program: &Path,
    arguments: &[&OsStr],
    home: &Path,
) -> Option<String> {
    let mut launched = launcher.command(program);
    launched.args(arguments).env_clear().current_dir(home).kill_on_drop(true);
    launched.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn_from_lasting_thread(launched).await.ok()?;
    let stdout = child.stdout.take();
    let (text, status) = timeout(LIMIT, async { tokio::join!(read(stdout), child.wait()) }).await.ok()?;
    status.ok()?.success().then_some(text)
}

/// What a command printed.
struct Output {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Output {
    /// The tag of the outbound that was being added last.
    fn last_added(&self) -> Option<&str> {
        self.stdout.lines().rev().find_map(|line| line.strip_prefix("adding: ")).map(str::trim)
    }

    /// Whether it was the outbound that failed, and not the way to Xray (the codes of gRPC: Xray itself answers with `Unknown`). Some settings
    /// make the command panic.
    fn is_about_the_outbound(&self) -> bool {
        let is_lost = ["Unavailable", "DeadlineExceeded", "Canceled"]
            .iter()
            .any(|code| self.stderr.contains(&format!("code = {code}")));
        self.status.code().is_some() && !is_lost
    }

    fn reason(&self) -> String {
        let lines = || self.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
        let line =
            lines().find(|line| line.starts_with("panic: ")).or_else(|| lines().next_back()).unwrap_or("no reason");
        without_control(line).take(MOST_REASON).collect()
    }

    fn failure(&self) -> XrayApiError {
        XrayApiError::Failed { adding: self.last_added().map(str::to_owned), reason: self.reason() }
    }
}

/// Reads to the end, and keeps so much of it.
async fn read(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let mut bytes = Vec::new();
    // What was read before an error counts.
    let _ = (&mut output).take(MOST_OUTPUT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
