//! One server: its folder, its port, its start and its end.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    left_out,
    programs::{Account, command, folder, guarded, own_folder},
};

/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The user and its password, which the server asks for over TCP (SCRAM).
pub(super) const USER: &str = "hezar";
pub(super) const PASSWORD: &str = "secret word";
/// The same in a URL.
pub(super) const LOGIN: &str = "hezar:secret%20word";
/// Settings of a server whose contents need not survive the machine's end.
const CONFIGURATION: &str = "listen_addresses = '127.0.0.1'\nfsync = off\nmax_connections = 300\nwal_level = logical\n\
     max_wal_senders = 8\nhot_standby = on\nshared_buffers = '128MB'\nlog_min_messages = warning\n";

/// A running server, or one that has been stopped and can be started again. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    programs: PathBuf,
    account: Option<Account>,
    port: u16,
    guard: Option<Child>,
}

impl PostgresServer {
    /// Makes a new server with one user and starts it; `None` when PostgreSQL is not installed, and then a line says so.
    ///
    /// # Errors
    /// It does not start, or it is required (`HEZAR_REQUIRE_PEERS`) and not installed.
    pub fn start_if_installed(test: &str) -> io::Result<Option<Self>> {
        let Some(programs) = folder() else { return left_out(test, "PostgreSQL", "postgresql").map(|()| None) };
        let mut server = Self::new(programs)?;
        let password = server.folder.join("password");
        fs::write(&password, PASSWORD)?;
        let data = server.data();
        let mut initdb = command(&server.programs.join("initdb"), server.account);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--username", USER]);
        server.run(initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data))?;
        server.configure(CONFIGURATION)?;
        server.start()?;
        Ok(Some(server))
    }

    /// A server in a folder of its own that has no data yet.
    fn new(programs: PathBuf) -> io::Result<Self> {
        let (folder, account) = own_folder()?;
        Ok(Self { folder, programs, account, port: free_port()?, guard: None })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Adds lines to the configuration (`postgresql.conf`), for the next start.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, lines: &str) -> io::Result<()> {
        let mut file = File::options().append(true).open(self.data().join("postgresql.conf"))?;
        file.write_all(lines.as_bytes())
    }

    /// Starts it again after [`PostgresServer::stop`] or [`PostgresServer::kill`], on the same port.
    ///
    /// # Errors
    /// It does not accept connections: the text is the server's own.
    pub fn start(&mut self) -> io::Result<()> {
        self.end(true)?;
        let log = File::options().append(true).create(true).open(self.folder.join("log"))?;
        let mut server = command(&self.programs.join("postgres"), self.account);
        server.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string()).arg("-k").arg(&self.folder);
        self.guard = Some(guarded(&server, &self.folder, "QUIT", log)?);
        let end = Instant::now() + PATIENCE;
        while !self.is_ready() {
            if Instant::now() > end || self.has_ended() {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not start: {log}")));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Whether it lets clients in (`pg_isready`: 0 accepts, 1 is starting, 2 does not answer).
    fn is_ready(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.args(["--quiet", "--timeout=5", "--host=127.0.0.1", "--port"]).arg(self.port.to_string());
        ready.status().is_ok_and(|status| status.success())
    }

    fn has_ended(&mut self) -> bool {
        self.guard.as_mut().is_none_or(|guard| matches!(guard.try_wait(), Ok(Some(_))))
    }

    /// The first process of the server, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Ends it at once, as a power cut would; its data stay for the next start.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> io::Result<()> {
        self.end(true)
    }

    /// Kills its first process with SIGKILL, which ends the others; its data stay for the next start.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(pid) = self.pid() {
            self.run(Command::new("kill").arg("-KILL").arg(pid.to_string()))?;
        }
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() && Instant::now() < end {
            sleep(Duration::from_millis(10));
        }
        self.end(true)
    }

    /// The URL of a database of it, with its user and password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{LOGIN}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn create_database(&self, name: &str) -> io::Result<String> {
        create_database(&self.url("postgres"), name)
    }

    /// Lets it speak TLS with this certificate and key (PEM) from the next start on.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn use_certificate(&self, certificate: &str, key: &str) -> io::Result<()> {
        use std::os::unix::fs::{PermissionsExt, chown};
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = self.data().join(name);
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            if let Some(Account { user, group }) = self.account {
                chown(&file, Some(user), Some(group))?;
            }
        }
        self.configure("ssl = on\n")
    }

    /// Runs SQL in a database and gives what it prints, without headings and with `|` between columns.
    ///
    /// # Errors
    /// The server refuses it: the text is the server's own.
    pub fn sql(&self, database: &str, sql: &str) -> io::Result<String> {
        psql(&self.url(database), sql)
    }

    /// A second server that follows this one (streaming replication) and takes no changes until it is promoted.
    ///
    /// # Errors
    /// It does not start.
    pub fn standby(&self) -> io::Result<Self> {
        let mut standby = Self::new(self.programs.clone())?;
        let mut copy = command(&self.programs.join("pg_basebackup"), self.account);
        copy.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--pgdata"]).arg(standby.data());
        self.run(copy.arg("--dbname").arg(self.url("postgres")))?;
        standby.start()?;
        Ok(standby)
    }

    /// Makes a standby the primary server, and waits until it takes changes.
    ///
    /// # Errors
    /// It is no standby.
    pub fn promote(&self) -> io::Result<()> {
        self.sql("postgres", "SELECT pg_promote(true, 60)").map(|_| ())
    }

    fn run(&self, command: &mut Command) -> io::Result<String> {
        run(command.current_dir("/"))
    }

    /// Ends the server when it runs; its folder goes with it unless it is kept.
    fn end(&mut self, keeps: bool) -> io::Result<()> {
        let Some(mut guard) = self.guard.take() else { return Ok(()) };
        if let Some(mut input) = guard.stdin.take().filter(|_| keeps) {
            // A guard that has gone has ended the server.
            let _ = input.write_all(b"keep\n");
        }
        guard.wait().map(|_| ())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = self.end(false);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes an empty database in the server that a URL names, and gives its URL.
pub(super) fn create_database(url: &str, name: &str) -> io::Result<String> {
    psql(url, &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').unwrap_or((address, ""));
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("{server}/{name}{mark}{query}"))
}

fn psql(url: &str, sql: &str) -> io::Result<String> {
    let program = folder().map_or_else(|| PathBuf::from("psql"), |folder| folder.join("psql"));
    let program: &Path = if program.is_file() { &program } else { Path::new("psql") };
    run(Command::new(program).args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql, url]))
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{}: {text}", command.get_program().display())))
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
