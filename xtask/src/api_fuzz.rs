//! Requests made up from the OpenAPI document, against a live instance: none may be answered with what the document does not say.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{peers, program};

/// How long the instance may take to start.
const START: Duration = Duration::from_secs(120);
/// The most requests for each operation and phase.
const EXAMPLES: &str = "12";
/// The longest answer, in seconds.
const LONGEST_ANSWER: &str = "60";

/// What it is told about single operations.
const CONFIG: &str = "xtask/schemathesis.toml";

/// The list of the one source: two nodes that do not answer, and a line that is no node. No other machine is asked.
const LIST: &str = "socks5://127.0.0.1:1#one\nhttp://127.0.0.1:2#two\nno node\n";

/// That every value of the right shape is taken: a name, an id or a cursor is good only when it exists, which no schema says.
const NOT_CHECKED: &str = "positive_data_acceptance";

/// An instance over the loopback world; it is killed when this is dropped.
struct Instance {
    child: Child,
    home: tempfile::TempDir,
    api: SocketAddr,
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs schemathesis.
///
/// # Errors
/// A failure that it finds, and, when `require` is set, that it cannot be installed.
pub(crate) fn run(root: &Path, require: bool) -> anyhow::Result<()> {
    let schemathesis = match peers::tool(root, "schemathesis") {
        Ok(program) => program,
        Err(error) if require => return Err(error.context("schemathesis is required")),
        Err(error) => {
            println!("api: SKIPPED, schemathesis cannot be installed: {error:#}");
            return Ok(());
        }
    };
    let program = program::build(root)?;
    let instance = start(&program)?;
    add_source(&program, instance.home.path())?;
    let token = fs::read_to_string(instance.home.path().join(".local/share/hezar/token")).context("no token")?;
    let mut command = Command::new(schemathesis);
    command
        .current_dir(instance.home.path())
        .arg("--config-file")
        .arg(root.join(CONFIG))
        .args(["run", &format!("http://{}/api/v1/openapi.json", instance.api)])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", token.trim()))
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--no-shrink"])
        .args(["--request-timeout", LONGEST_ANSWER])
        .args(["--exclude-checks", NOT_CHECKED])
        .args(["--seed", "1", "--continue-on-failure", "--warnings", "off"]);
    let status = command.stdin(Stdio::null()).status().context("cannot start schemathesis")?;
    ensure!(status.success(), "the API and its OpenAPI document differ: see above");
    Ok(())
}

/// Gives the instance of this home a source named `mine`, as `CONFIG` calls it.
fn add_source(program: &Path, home: &Path) -> anyhow::Result<()> {
    fs::write(home.join("list.txt"), LIST)?;
    let mut command = Command::new(program);
    command.args(["source", "add", "mine", "list.txt", "allow_private=true"]).current_dir(home).env("HOME", home);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(status.success(), "the instance took no source");
    Ok(())
}

/// Starts an instance and waits until its API listens.
fn start(program: &Path) -> anyhow::Result<Instance> {
    let home = tempfile::tempdir()?;
    let mut child = Command::new(program)
        .args(["run", "--demo", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("HEZAR_LOG_FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let log = BufReader::new(child.stderr.take().context("no log")?);
    let (found, address) = mpsc::channel();
    // The log is read to its end, so that the instance never waits for a reader.
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "api listens" {
                let _ = found.send(event["address"].as_str().and_then(|text| text.parse().ok()));
            }
        }
    });
    match address.recv_timeout(START) {
        Ok(Some(api)) => Ok(Instance { child, home, api }),
        found => {
            let _ = child.kill();
            let _ = child.wait();
            anyhow::bail!("the instance did not start: {found:?}")
        }
    }
}
