//! PgBouncer in transaction mode in front of a server: each transaction gets a connection of its own.

use std::{
    env,
    fs::{self, File},
    io,
    net::TcpStream,
    path::PathBuf,
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    PostgresServer, left_out,
    programs::{command, guarded, own_folder},
    server::{LOGIN, PASSWORD, USER, free_port},
};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running PgBouncer; dropping it ends it.
#[derive(Debug)]
pub struct Pooler {
    folder: PathBuf,
    port: u16,
    guard: Child,
}

impl Pooler {
    /// Starts one in front of a server, with `connections` to it; `None` when PgBouncer is not installed, and then a line says so.
    ///
    /// # Errors
    /// It does not start, or it is required (`HEZAR_REQUIRE_PEERS`) and not installed.
    pub fn start_if_installed(server: &PostgresServer, connections: u16, test: &str) -> io::Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let Some(program) = folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file()) else {
            return left_out(test, "PgBouncer", "pgbouncer").map(|()| None);
        };
        let (folder, account) = own_folder()?;
        let port = free_port()?;
        let users = folder.join("users");
        let configuration = folder.join("pgbouncer.ini");
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n"))?;
        fs::write(
            &configuration,
            format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {connections}\nmax_client_conn = 500\nlogfile = {}\n",
                server.port(),
                users.display(),
                folder.join("pgbouncer.log").display(),
            ),
        )?;
        let log = File::create(folder.join("log"))?;
        let mut pooler = command(&program, account);
        let guard = guarded(pooler.arg(&configuration), &folder, "KILL", log)?;
        let mut pooler = Self { folder, port, guard };
        pooler.wait()?;
        Ok(Some(pooler))
    }

    fn wait(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > end || self.guard.try_wait()?.is_some() {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("PgBouncer does not start: {log}")));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The URL of a database of the server behind it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{LOGIN}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
