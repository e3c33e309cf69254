//! Several processes of the program over one real PostgreSQL, for tests and measurements; everything on loopback addresses, and gone
//! with the value.

mod balancer;
mod member;

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::postgres::PostgresServer;

pub use balancer::Balancer;
pub use member::{Member, MemberAnswer};

/// The token of every member's API.
const TOKEN: &str = "the-token-of-the-cluster";
/// The source that fetchers read.
const SOURCE: &str = "list";
/// Probes over the demonstration's hosts, often.
const PROBE: &str = "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\n";
/// How long anything may take before a waiting caller gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the members share: a database, the list that fetchers read, and settings.
#[derive(Debug)]
pub struct Cluster {
    /// The database server.
    pub server: PostgresServer,
    /// The address of the store.
    pub store: String,
    /// Lines for `[probe]` of every member.
    pub probe: String,
    /// What probers ask directly when many nodes fail at once. Without it they take that for a failure of their own network.
    pub control: Option<SocketAddr>,
    /// Lines for `[proxy]` of every member.
    pub proxy: String,
    /// More of the configuration of every member.
    pub extra: String,
    program: PathBuf,
    folder: PathBuf,
}

impl Cluster {
    /// The name of the database.
    pub const DATABASE: &str = "hezar";

    /// A new database for members that run this program; `None`, with a line that says so, where PostgreSQL is not installed.
    ///
    /// # Errors
    /// The server does not start, or PostgreSQL is required (`HEZAR_REQUIRE_PEERS`) and not installed.
    pub fn open(test: &str, program: &Path) -> io::Result<Option<Self>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(server) = PostgresServer::start_if_installed(test)? else { return Ok(None) };
        let store = server.create_database(Self::DATABASE)?;
        let name = format!("hezar-cluster-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let cluster = Self {
            server,
            store,
            probe: "interval = \"2s\"\ntimeout = \"5s\"\n".to_owned(),
            control: None,
            proxy: String::new(),
            extra: String::new(),
            program: program.to_path_buf(),
            folder,
        };
        cluster.list("")?;
        Ok(Some(cluster))
    }

    /// Makes these links the list that fetchers read, all at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn list(&self, links: &str) -> io::Result<()> {
        let new = self.folder.join("list.new");
        fs::write(&new, links)?;
        fs::rename(new, self.folder.join("list.txt"))
    }

    /// Starts a member with these roles, such as `gateway,api`, on addresses of its own.
    ///
    /// # Errors
    /// It does not start: the text is the end of its log.
    pub fn member(&self, name: &str, roles: &str) -> io::Result<Member> {
        self.namesake(name, name, roles)
    }

    /// As [`Cluster::member`], in a folder with a name of its own: another member may have the same name.
    ///
    /// # Errors
    /// It does not start: the text is the end of its log.
    pub fn namesake(&self, folder: &str, name: &str, roles: &str) -> io::Result<Member> {
        let folder = self.folder.join(folder);
        fs::create_dir(&folder)?;
        let (proxy, api) = (free_address()?, free_address()?);
        let control: Vec<String> = self.control.iter().map(|address| format!("\"http://{address}/\"")).collect();
        let roles: Vec<String> = roles.split(',').map(|role| format!("{role:?}")).collect();
        let config = format!(
            "[store]\nurl = {:?}\n[cluster]\nname = {name:?}\nroles = [{}]\n[api]\nlisten = \"{api}\"\ntoken = \"{TOKEN}\"\n\
             [proxy]\nlisten = \"{proxy}\"\n{}{PROBE}control = [{}]\n{}{}\n\
             [[source]]\nname = \"{SOURCE}\"\nfile = {:?}\nallow_private = true\ninterval = \"1s\"\nmax_bytes = \"512MiB\"\n",
            self.store,
            roles.join(", "),
            self.proxy,
            control.join(", "),
            self.probe,
            self.extra,
            self.folder.join("list.txt").display().to_string(),
        );
        fs::write(folder.join("hezar.toml"), config)?;
        Member::start(name, &self.program, folder, proxy, api)
    }

    /// Starts so many gateways that answer the API, too.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn gateways(&self, count: usize) -> io::Result<Vec<Member>> {
        (1..=count).map(|number| self.member(&format!("gateway-{number}"), "gateway,api")).collect()
    }

    /// Runs SQL in the store and gives what it prints, without headings and with `|` between columns.
    ///
    /// # Errors
    /// The server refuses it.
    pub fn sql(&self, sql: &str) -> io::Result<String> {
        self.server.sql(Self::DATABASE, sql)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An address that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Asks until there is an answer, for a minute at most.
///
/// # Errors
/// There was none: the text names what was waited for.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> io::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > end {
            return Err(io::Error::other(format!("not within {PATIENCE:?}: {what}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// So many nodes at addresses that refuse connections.
#[must_use]
pub fn dead_links(count: u32) -> String {
    let link = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        format!("socks5://127.{}.{b}.{c}:9#dead{number}\n", 100 + a)
    };
    (0..count).map(link).collect()
}
