//! One process of a cluster: started, asked, stopped, killed and started again.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{PATIENCE, TOKEN, wait_for};

/// How much of a log is shown when a member does not start, in bytes.
const LOG_SHOWN: usize = 4000;

/// One process of a cluster. Dropping it kills it.
#[derive(Debug)]
pub struct Member {
    /// Its name among the others.
    pub name: String,
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where its API listens.
    pub api: SocketAddr,
    program: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

/// An answer of a member's API.
#[derive(Clone, Debug)]
pub struct MemberAnswer {
    /// The status of HTTP; 0 when there was no answer.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Member {
    pub(super) fn start(
        name: &str,
        program: &Path,
        folder: PathBuf,
        proxy: SocketAddr,
        api: SocketAddr,
    ) -> io::Result<Self> {
        let mut member =
            Self { name: name.to_owned(), proxy, api, program: program.to_path_buf(), folder, child: None };
        member.start_again()?;
        Ok(member)
    }

    /// Starts it in its old folder and on its old addresses, and waits until its API answers.
    ///
    /// # Errors
    /// It ends before that, or does not answer: the text is the end of its log.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.kill();
        self.child = Some(self.spawn(&["run"])?);
        let mut ended = None;
        let answers = wait_for(&self.name, || {
            ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            (ended.is_some() || TcpStream::connect(self.api).is_ok()).then_some(())
        });
        match (answers, ended) {
            (Ok(()), None) => Ok(()),
            _ => Err(io::Error::other(format!("{} does not start: {}", self.name, self.log()))),
        }
    }

    /// Starts another process that takes over from the one that runs, and waits until that one has ended.
    ///
    /// # Errors
    /// The new process ends, or the old one goes on: the text is the end of the log.
    pub fn take_over(&mut self) -> io::Result<()> {
        let mut old = self.child.replace(self.spawn(&["run", "--takeover"])?);
        let name = self.name.clone();
        let left = wait_for(&name, || match (self.has_ended(), &mut old) {
            (true, _) => Some(false),
            (false, Some(old)) => matches!(old.try_wait(), Ok(Some(_))).then_some(true),
            (false, None) => Some(true),
        });
        if matches!(left, Ok(true)) {
            return Ok(());
        }
        if let Some(mut old) = old {
            let _ = old.kill();
            let _ = old.wait();
        }
        Err(io::Error::other(format!("{} is not taken over: {}", self.name, self.log())))
    }

    fn spawn(&self, arguments: &[&str]) -> io::Result<Child> {
        let log = File::options().append(true).create(true).open(self.folder.join("log.txt"))?;
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).env_clear().env("HOME", &self.folder);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
    }

    /// Kills it without a warning.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.pid().ok_or_else(|| io::Error::other(format!("{} does not run", self.name)))?;
        let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill: {status}"))) }
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The end of what it has printed until now.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log.txt")).unwrap_or_default();
        let start = text.ceil_char_boundary(text.len().saturating_sub(LOG_SHOWN));
        text.get(start..).unwrap_or_default().to_owned()
    }

    /// One request to its API.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> MemberAnswer {
        self.exchange(method, path, body).unwrap_or_else(|error| MemberAnswer { status: 0, body: error.to_string() })
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<MemberAnswer> {
        let mut stream = TcpStream::connect_timeout(&self.api, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // A client of HTTP/1.0 gets no chunks.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            self.api,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Ok(MemberAnswer { status, body: body.to_owned() })
    }

    /// The JSON of a good answer; `None` for every other one.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        let answer = self.ask("GET", path, "");
        serde_json::from_str(&answer.body).ok().filter(|_| answer.status == 200)
    }

    /// How many nodes work, as it knows it; `None` while it does not say.
    #[must_use]
    pub fn healthy(&self) -> Option<u64> {
        self.get("/api/v1/status")?["nodes"]["healthy"].as_u64()
    }

    /// Waits until it knows so many nodes that work.
    ///
    /// # Errors
    /// It does not know them within a minute.
    pub fn knows_healthy(&self, count: u64) -> io::Result<()> {
        let mut last = None;
        let known = wait_for("", || {
            last = self.healthy();
            (last == Some(count)).then_some(())
        });
        known.map_err(|_| {
            io::Error::other(format!("{} knows {last:?} healthy nodes and not {count}: {}", self.name, self.log()))
        })
    }

    /// The state of a node; `None` when it does not know it.
    #[must_use]
    pub fn state(&self, id: &str) -> Option<String> {
        self.get(&format!("/api/v1/nodes/{id}"))?["state"].as_str().map(str::to_owned)
    }

    /// Whether it says that it serves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ask("GET", "/readyz", "").status == 200
    }

    /// The sum of a metric over all its series.
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.ask("GET", "/metrics", "").body;
        let series = text.lines().filter_map(|line| line.strip_prefix(name));
        let own = series.filter(|rest| rest.starts_with(['{', ' ']));
        own.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
