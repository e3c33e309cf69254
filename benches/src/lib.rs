//! What the benchmarks share: a home for the program, a watched child process, and medians.

pub mod api;
pub mod chaos;
pub mod churn;
pub mod cluster;
pub mod contest;
pub mod crowd;
pub mod figures;
pub mod inbounds;
pub mod load;
pub mod node;
mod own_copy;
mod phone;
pub mod sidecar;
pub mod site;
pub mod truth;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// The program to measure: `HEZAR_BIN`, or the release build of this checkout.
///
/// # Errors
/// When it has not been built.
pub fn hezar() -> anyhow::Result<PathBuf> {
    program("HEZAR_BIN", "hezar")
}

/// A program next to this one, unless the environment names it.
fn program(variable: &str, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: cargo build --release", path.display());
    }
    Ok(path)
}

/// Linux counts in hundredths of a second towards programs, on every architecture.
const MS_PER_TICK: u64 = 10;

/// A child process whose peak memory is read while it lives; killed when dropped.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    peak_kib: u64,
}

impl Watched {
    /// Starts a command with its output thrown away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child, peak_kib: 0 })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its peak and its present resident memory so far, in KiB.
    pub fn memory(&mut self) -> (u64, u64) {
        let (peak, resident) = process_memory(self.child.id());
        self.peak_kib = self.peak_kib.max(peak);
        (self.peak_kib, resident)
    }

    /// The CPU time it has used so far, in the program and in the kernel.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        process_cpu(self.child.id())
    }

    /// Its proportional share of the memory, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn proportional_kib(&self) -> anyhow::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        line.trim().trim_end_matches(" kB").parse().context("not a number")
    }

    /// Waits for its end, at most `limit`; gives its status and its peak memory in KiB.
    ///
    /// # Errors
    /// When it takes longer.
    pub fn wait(mut self, limit: Duration) -> anyhow::Result<(ExitStatus, u64)> {
        let end = Instant::now() + limit;
        loop {
            let (peak, _) = self.memory();
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, peak));
            }
            if Instant::now() > end {
                bail!("still running after {limit:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The peak and the present resident memory of a process, in KiB; zero when it has ended.
#[must_use]
pub fn process_memory(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    (field("VmHWM:"), field("VmRSS:"))
}

/// The CPU time that a process has used so far, in the program and in the kernel.
#[must_use]
pub fn process_cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in front may hold spaces; `utime` and `stime` are the 12th and 13th field after its bracket.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * MS_PER_TICK)
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status code of one `GET`, through a proxy when `url` is absolute.
///
/// # Errors
/// When nothing answers.
pub fn get(address: SocketAddr, url: &str, limit: Duration) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "GET {url} HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 << 20).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
    Ok((status, answer))
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The middle of the values.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time that this share of the values, which are in order, did not exceed, in ms.
#[must_use]
pub fn percentile(times: &[Duration], share: f64) -> f64 {
    let place = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
    times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

/// The configuration of an instance that reads one list and probes inside the lab's world.
///
/// # Errors
/// When the files cannot be written.
pub fn configure(home: &Path, list: &str, extra: &str) -> anyhow::Result<()> {
    fs::write(home.join("list.txt"), list)?;
    let text = format!(
        "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\n{extra}\n\
         [log]\nlevel = \"warn\"\n[[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\nmax_bytes = \"512MiB\"\n"
    );
    fs::write(home.join("hezar.toml"), text)?;
    Ok(())
}

/// A command of the program in a home.
///
/// # Errors
/// When the program has not been built.
pub fn command(home: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    Ok(command_of(&hezar()?, home, arguments))
}

/// The same for another build of the program.
#[must_use]
pub fn command_of(program: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(home).args(arguments);
    // The program takes every HEZAR_* variable for a key of its configuration; those that are set here are the benchmarks' own.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEZAR_")) {
        command.env_remove(name);
    }
    command
}
