//! A whole Tor network on one machine: three directory authorities and some exits, each a Tor process with an address of its own.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder},
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hezar_interop::harness::Running;

/// Directory authorities, which are relays too.
const AUTHORITIES: u8 = 3;
/// How long the authorities may take to agree on all relays.
const AGREEMENT: Duration = Duration::from_secs(120);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(200);

/// What every relay is told.
const RELAY: &str = "TestingTorNetwork 1
AssumeReachable 1
SocksPort 0
ShutdownWaitLength 0
Log notice stdout
ContactInfo none
PathsNeededToBuildCircuits 0.67
";
/// What an authority is told besides: votes every few seconds.
const AUTHORITY: &str = "AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
ExitPolicy reject *:*
";
/// The file of measured speeds, in the folder of the network.
const SPEEDS: &str = "speeds";
/// The speed of every exit, in KB a second.
const SPEED: u32 = 1000;
const EXIT: &str = "ExitRelay 1
ExitPolicy accept *:*
";

/// One relay before it is started.
struct Relay {
    name: String,
    address: Ipv4Addr,
    or_port: u16,
    dir_port: u16,
    folder: PathBuf,
    /// What it publishes as an onion service.
    publishes: Option<SocketAddr>,
}

/// The network; its processes are killed when it is dropped.
pub(crate) struct Network {
    /// The lines that tell a client who the authorities are.
    pub(crate) authorities: Vec<String>,
    _running: Vec<Running>,
    /// The exits by the address that their traffic comes from.
    exits: Vec<(Ipv4Addr, Running)>,
    /// The name of the onion service that the last exit publishes.
    pub(crate) onion: String,
}

impl Network {
    /// Starts a network with the first addresses from `base` on, and waits until its authorities agree on all exits. The last exit
    /// publishes `site` as an onion service on port 80.
    pub(crate) fn start(tor: &Path, folder: &Path, base: Ipv4Addr, exits: u8, site: SocketAddr) -> Self {
        let mut all: Vec<Relay> = (0..AUTHORITIES + exits).map(|number| relay(folder, base, number)).collect();
        if let Some(last) = all.last_mut() {
            last.publishes = Some(site);
        }
        let (authorities, exits) = all.split_at(usize::from(AUTHORITIES));
        authorities.iter().for_each(make_keys);
        write_speeds(&folder.join(SPEEDS), tor, exits);
        let lines: Vec<String> = authorities.iter().map(|authority| authority_line(tor, authority)).collect();
        let running = authorities.iter().map(|authority| start(tor, authority, AUTHORITY, &lines)).collect();
        let exits: Vec<_> = exits.iter().map(|exit| (exit.address, start(tor, exit, EXIT, &lines))).collect();
        let first = &authorities[0];
        await_agreement(SocketAddr::new(IpAddr::V4(first.address), first.dir_port), exits.len());
        let onion = fs::read_to_string(all.last().unwrap().folder.join("onion/hostname")).unwrap();
        Self { authorities: lines, _running: running, exits, onion: onion.trim().to_owned() }
    }

    /// Kills the exit whose traffic comes from this address.
    pub(crate) fn kill_exit(&mut self, address: Ipv4Addr) {
        let before = self.exits.len();
        self.exits.retain(|(known, _)| *known != address);
        assert_eq!(self.exits.len() + 1, before, "there was an exit at {address}");
    }
}

fn relay(folder: &Path, base: Ipv4Addr, number: u8) -> Relay {
    let address = Ipv4Addr::from_bits(base.to_bits() + u32::from(number));
    let port = || TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    let name = if number < AUTHORITIES { format!("authority{number}") } else { format!("exit{number}") };
    let folder = folder.join(&name);
    DirBuilder::new().mode(0o700).recursive(true).create(folder.join("keys")).unwrap();
    Relay { name, address, or_port: port(), dir_port: port(), folder, publishes: None }
}

/// Makes the keys with which an authority signs; the short ones are good enough here.
fn make_keys(authority: &Relay) {
    let key = |name: &str| authority.folder.join("keys").join(name);
    let mut child = Command::new("tor-gencert")
        .args(["--create-identity-key", "--passphrase-fd", "0", "-m", "12"])
        .args(["-a", &format!("{}:{}", authority.address, authority.dir_port), "-i"])
        .arg(key("authority_identity_key"))
        .arg("-s")
        .arg(key("authority_signing_key"))
        .arg("-c")
        .arg(key("authority_certificate"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"not secret\n").unwrap();
    assert!(child.wait().unwrap().success());
}

/// The line by which the others know an authority.
fn authority_line(tor: &Path, authority: &Relay) -> String {
    let Relay { name, address, or_port, dir_port, folder, .. } = authority;
    let certificate = fs::read_to_string(folder.join("keys/authority_certificate")).unwrap();
    let identity = certificate.lines().find_map(|line| line.strip_prefix("fingerprint ")).unwrap();
    let fingerprint = fingerprint(tor, authority, AUTHORITY);
    format!("DirAuthority {name} orport={or_port} no-v2 v3ident={identity} {address}:{dir_port} {fingerprint}")
}

/// The identity of a relay, whose keys are made by this.
fn fingerprint(tor: &Path, relay: &Relay, kind: &str) -> String {
    // Any authority makes it another network than the public one.
    let nobody = "DirAuthority nobody 127.0.0.1:1 0000000000000000000000000000000000000000".to_owned();
    write_torrc(relay, kind, &[nobody]);
    let torrc = relay.folder.join("torrc");
    let said = Command::new(tor).arg("-f").arg(torrc).args(["--list-fingerprint", "--quiet"]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let fingerprint: String = said.split_whitespace().skip(1).collect();
    assert_eq!(fingerprint.len(), 40, "{said}");
    fingerprint
}

/// Writes what the authorities take for the measured speed of the exits: all the same, so that clients choose each as often.
fn write_speeds(file: &Path, tor: &Path, exits: &[Relay]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut text = format!("{now}\n");
    for exit in exits {
        let _ = writeln!(text, "node_id=${} bw={SPEED}", fingerprint(tor, exit, EXIT));
    }
    fs::write(file, text).unwrap();
}

fn write_torrc(relay: &Relay, kind: &str, authorities: &[String]) {
    let Relay { name, address, or_port, dir_port, folder, publishes } = relay;
    let mut text = format!(
        "{RELAY}{kind}Nickname {name}\nAddress {address}\nORPort {address}:{or_port}\nOutboundBindAddress {address}\nDataDirectory {}\n",
        folder.display()
    );
    if kind == AUTHORITY {
        let _ = writeln!(text, "DirPort {address}:{dir_port}\nV3BandwidthsFile ../{SPEEDS}");
    }
    if let Some(site) = publishes {
        let onion = folder.join("onion");
        let _ = writeln!(text, "HiddenServiceDir {}\nHiddenServicePort 80 {site}", onion.display());
    }
    for line in authorities {
        let _ = writeln!(text, "{line}");
    }
    fs::write(folder.join("torrc"), text).unwrap();
}

fn start(tor: &Path, relay: &Relay, kind: &str, authorities: &[String]) -> Running {
    write_torrc(relay, kind, authorities);
    Running::start(tor, &["-f", "torrc"], &relay.folder)
}

/// Waits until the consensus of the authorities names all exits with their speeds.
fn await_agreement(authority: SocketAddr, exits: usize) {
    let end = Instant::now() + AGREEMENT;
    loop {
        let consensus = consensus(authority).unwrap_or_default();
        let measured = format!("w Bandwidth={SPEED}");
        let named = consensus.lines().filter(|line| *line == measured).count();
        if named == exits {
            return;
        }
        assert!(Instant::now() < end, "the authorities agree on {named} of {exits} exits: {consensus}");
        std::thread::sleep(LOOK);
    }
}

fn consensus(authority: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /tor/status-vote/current/consensus HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}
