//! Nodes that only mihomo dials: they are probed, serve, live through reloads and through the death of the core.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hezar_interop::harness::{Answer, PATIENCE, Running, ask, eventually, free_addresses, is_alive, programs};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "Authorization: Bearer token-for-the-api\r\n";
/// Nodes that the native engine dials.
const NATIVE: usize = 4;

/// A target: plain HTTP, and what comes in a tunnel comes back.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut first = String::new();
    reader.read_line(&mut first)?;
    if !first.starts_with("GET ") {
        stream.write_all(first.as_bytes())?;
        std::io::copy(&mut reader, &mut stream)?;
        return Ok(());
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
    }
    let answer = if first.contains("204") {
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    } else {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    };
    stream.write_all(answer.as_bytes())
}

/// A target that sends every datagram back.
fn echo_of_datagrams() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    address
}

/// A real mihomo as the server of all nodes, and an instance over them.
struct World {
    hezar: Option<Running>,
    _server: Running,
    folder: TempDir,
    origin: SocketAddr,
    api: SocketAddr,
    /// Clients whose requests go over the core's nodes alone.
    core: SocketAddr,
    /// Clients whose requests go over the native nodes alone.
    native: SocketAddr,
    tuic: u16,
}

impl World {
    fn start(test: &str) -> Option<Self> {
        let (program, [mihomo]) = programs(test, ["mihomo"])?;
        let folder = tempfile::tempdir().unwrap();
        let (ports, origin) = (free_addresses(NATIVE + 5), origin());
        let [proxy, api, core, native, tuic] = ports[NATIVE..] else { panic!("so many were asked for") };
        let server = server(&mihomo, folder.path(), tuic.port(), &ports[..NATIVE]);
        let home = folder.path().join("hezar");
        fs::create_dir(&home).unwrap();
        let links = ports[..NATIVE].iter().map(|address| format!("socks5://{address}\n")).collect::<String>();
        fs::write(home.join("native.txt"), links).unwrap();
        let config = format!(
            "data = \"data\"\n[proxy]\nlisten = \"{proxy}\"\n[api]\nlisten = \"{api}\"\ntoken = \"token-for-the-api\"\n\
             [probe]\nurl = \"http://{origin}/204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\ninterval = \"30s\"\ntimeout = \"20s\"\n\
             [sidecar]\nmihomo = \"{}\"\nxray = \"off\"\n\
             [[source]]\nname = \"core\"\nfile = \"core.yaml\"\nallow_private = true\n\
             [[source]]\nname = \"native\"\nfile = \"native.txt\"\nallow_private = true\n\
             [[listener]]\nname = \"core\"\nlisten = \"{core}\"\nsources = [\"core\"]\n\
             [[listener]]\nname = \"native\"\nlisten = \"{native}\"\nsources = [\"native\"]\n",
            mihomo.display()
        );
        fs::write(home.join("hezar.toml"), config).unwrap();
        let world = Self { hezar: None, _server: server, folder, origin, api, core, native, tuic: tuic.port() };
        world.list(&[]);
        let hezar = Running::start(&program, &["run"], &home);
        let mut world = Self { hezar: Some(hezar), ..world };
        if let Some(hezar) = &mut world.hezar {
            hezar.accepts(api);
        }
        Some(world)
    }

    fn hezar(&self) -> &Running {
        self.hezar.as_ref().unwrap()
    }

    /// Writes the list of nodes that only the core dials: one for each of these tokens.
    fn list(&self, entries: &[Value]) {
        let text = json!({ "proxies": entries }).to_string();
        fs::write(self.folder.path().join("hezar/core.yaml"), text).unwrap();
    }

    /// A node with this number.
    fn node(&self, number: usize) -> Value {
        json!({
            "name": format!("n{number}"), "type": "tuic", "server": "127.0.0.1", "port": self.tuic, "token": token(number),
            "skip-cert-verify": true, "sni": "interop.test", "udp": true,
        })
    }

    fn nodes(&self, count: usize) -> Vec<Value> {
        (0..count).map(|number| self.node(number)).collect()
    }

    /// Reads the list again.
    fn refresh(&self) {
        let answer = self.ask("POST", "/api/v1/sources/core/refresh", "");
        assert!(answer.status < 300, "{answer:?}");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(self.api, method, path, TOKEN, body)
    }

    /// How many nodes there are in a state, of those with a scheme.
    fn count(&self, scheme: &str, state: &str) -> usize {
        let answer = self.ask("GET", &format!("/api/v1/nodes?scheme={scheme}&state={state}&limit=1000"), "");
        let nodes: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        nodes["nodes"].as_array().map_or(0, Vec::len)
    }

    fn wait_for(&self, scheme: &str, state: &str, count: usize) {
        let mut last = 0;
        let what = format!("{count} of {scheme} are {state}");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            last = self.count(scheme, state);
            if last == count {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("{what}: {last} are; {}", self.hezar().log());
    }

    /// Whether one request over a listener is answered.
    fn serves(&self, proxy: SocketAddr) -> bool {
        let (answer, origin) = (TcpStream::connect(proxy), self.origin);
        let Ok(mut stream) = answer else { return false };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET http://{origin}/hello HTTP/1.1\r\nHost: {origin}\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        let exchanged = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut text));
        exchanged.is_ok() && text.starts_with("HTTP/1.1 200") && text.ends_with("hello")
    }

    /// A tunnel over a node of the core, to the part of the target that sends everything back.
    fn tunnel(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.core).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let origin = self.origin;
        write!(stream, "CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&head)));
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        say(&mut stream, "first").unwrap();
        stream
    }

    /// A datagram over a node of the core to a target that sends it back (RFC 1928, UDP ASSOCIATE).
    fn datagram(&self, target: SocketAddr) {
        let mut control = TcpStream::connect(self.core).unwrap();
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        control.write_all(&[5, 1, 0]).unwrap();
        control.read_exact(&mut [0; 2]).unwrap();
        control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut answer = [0; 10];
        control.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], [5, 0, 0, 1], "{answer:?}");
        let relay = SocketAddr::from((
            [answer[4], answer[5], answer[6], answer[7]],
            u16::from_be_bytes([answer[8], answer[9]]),
        ));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let port = target.port().to_be_bytes();
        let sent = [&[0, 0, 0, 1, 127, 0, 0, 1][..], &port, b"datagram"].concat();
        let mut buffer = [0; 100];
        // Datagrams may be lost.
        let came = (0..20).find_map(|_| {
            socket.send_to(&sent, relay).unwrap();
            socket.recv(&mut buffer).ok()
        });
        assert_eq!(buffer[..came.unwrap()], sent);
    }

    /// The process of the core.
    fn core_process(&self) -> Option<u32> {
        let parent = format!("PPid:\t{}", self.hezar().pid());
        fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            (status.lines().any(|line| line == parent) && status.starts_with("Name:\tmihomo")).then_some(pid)
        })
    }

    /// What the API tells of mihomo.
    fn told(&self, key: &str) -> u64 {
        let found: Value = serde_json::from_str(&self.ask("GET", "/api/v1/cores", "").body).unwrap();
        found["cores"][0][key].as_u64().unwrap()
    }
}

fn token(number: usize) -> String {
    format!("token-{number}")
}

/// The server of all nodes.
fn server(mihomo: &Path, folder: &Path, tuic: u16, native: &[SocketAddr]) -> Running {
    let home = folder.join("server");
    fs::create_dir(&home).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["interop.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(home.join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(home.join("key.pem"), key.serialize_pem()).unwrap();
    let tokens: Vec<String> = (0..200).map(token).collect();
    let mut listeners = vec![json!({
        "name": "tuic", "type": "tuic", "listen": "127.0.0.1", "port": tuic, "token": tokens,
        "certificate": "./certificate.pem", "private-key": "./key.pem",
    })];
    listeners.extend(native.iter().enumerate().map(|(number, address)| {
        json!({ "name": format!("socks{number}"), "type": "socks", "listen": "127.0.0.1", "port": address.port() })
    }));
    let config = json!({ "log-level": "warning", "listeners": listeners, "rules": ["MATCH,DIRECT"] });
    fs::write(home.join("config.yaml"), config.to_string()).unwrap();
    let mut running = Running::start(mihomo, &["-d", home.to_str().unwrap()], &home);
    running.accepts(native[0]);
    running
}

/// Sends a line through a tunnel and waits for it to come back.
fn say(stream: &mut TcpStream, word: &str) -> std::io::Result<()> {
    let line = format!("{word}\n");
    stream.write_all(line.as_bytes())?;
    let mut back = vec![0; line.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, line.as_bytes());
    Ok(())
}

fn kill(pid: u32) {
    // It may have ended already.
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

#[test]
fn one_refused_node_harms_no_other_one_and_streams_outlive_reloads_and_nothing_outlives_the_instance() {
    let Some(mut world) = World::start("sidecar") else { return };
    let mut entries = world.nodes(99);
    entries.insert(
        61,
        json!({
            "name": "refused", "type": "masque", "server": "127.0.0.1", "port": 1, "private-key": "not a key",
            "public-key": "x", "ip": "10.0.0.1/32",
        }),
    );
    world.list(&entries);
    world.refresh();
    world.wait_for("tuic", "healthy", 99);
    world.wait_for("masque", "unsupported", 1);
    let refused = world.ask("GET", "/api/v1/nodes?scheme=masque", "").body;
    assert!(refused.contains("core-refused"), "{refused}");
    assert!(world.serves(world.core));
    world.datagram(echo_of_datagrams());
    let mut tunnels: Vec<TcpStream> = (0..20).map(|_| world.tunnel()).collect();
    for round in 0..3 {
        let reloads = world.told("reloads");
        world.list(&world.nodes(100 + round));
        world.refresh();
        world.wait_for("tuic", "healthy", 100 + round);
        assert!(world.told("reloads") > reloads, "the core has taken over other nodes");
        for tunnel in &mut tunnels {
            say(tunnel, "again").unwrap();
        }
    }
    assert_eq!(world.told("starts"), 1);
    let metrics = world.ask("GET", "/metrics", "").body;
    assert!(metrics.contains("hezar_core_up{core=\"mihomo\"} 1"), "{metrics}");
    let core = world.core_process().unwrap();
    kill(world.hezar().pid());
    let end = Instant::now() + PATIENCE;
    while is_alive(core) {
        assert!(Instant::now() < end, "the core has outlived the instance");
        thread::sleep(Duration::from_millis(20));
    }
    world.hezar = None;
}

#[test]
fn a_reload_finds_a_core_that_was_installed_and_misses_one_that_is_gone() {
    let Some(world) = World::start("sidecar") else { return };
    world.list(&world.nodes(3));
    world.refresh();
    world.wait_for("tuic", "healthy", 3);
    let file = world.folder.path().join("hezar/hezar.toml");
    let with_core = fs::read_to_string(&file).unwrap();
    let begin = with_core.find("mihomo = ").unwrap();
    let end = begin + with_core[begin..].find('\n').unwrap();
    fs::write(&file, format!("{}mihomo = \"off\"{}", &with_core[..begin], &with_core[end..])).unwrap();
    assert!(world.ask("POST", "/api/v1/reload", "").status < 300);
    world.wait_for("tuic", "unsupported", 3);
    eventually("the core has ended", || world.core_process().is_none().then_some(()));
    let missing = world.ask("GET", "/api/v1/cores", "").body;
    assert!(missing.contains("\"missing\":[{\"name\":\"mihomo\",\"nodes\":3"), "{missing}");
    fs::write(&file, with_core).unwrap();
    assert!(world.ask("POST", "/api/v1/reload", "").status < 300);
    world.wait_for("tuic", "healthy", 3);
    assert!(world.serves(world.core));
}

/// Requests in a loop until the end; how many failed.
fn load(world: &Arc<World>, native: bool, end: &Arc<AtomicBool>, done: &Arc<AtomicUsize>) -> JoinHandle<usize> {
    let (world, end, done) = (Arc::clone(world), Arc::clone(end), Arc::clone(done));
    thread::spawn(move || {
        let mut failed = 0;
        while !end.load(Ordering::Relaxed) {
            let served = world.serves(if native { world.native } else { world.core });
            failed += usize::from(!served);
            done.fetch_add(usize::from(served), Ordering::Relaxed);
        }
        failed
    })
}

#[test]
fn native_nodes_serve_on_while_the_core_is_killed_and_the_others_are_back_at_once() {
    let Some(world) = World::start("sidecar") else { return };
    world.list(&world.nodes(20));
    world.refresh();
    world.wait_for("tuic", "healthy", 20);
    world.wait_for("socks5", "healthy", NATIVE);
    let world = Arc::new(world);
    let (end, native, core) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
    let native_load: Vec<_> = (0..3).map(|_| load(&world, true, &end, &native)).collect();
    let core_load = load(&world, false, &end, &core);
    let mut slowest = Duration::ZERO;
    for kills in 0..20_u64 {
        let before = core.load(Ordering::Relaxed);
        eventually("requests over the core", || (core.load(Ordering::Relaxed) > before + 3).then_some(()));
        // At another moment each time.
        thread::sleep(Duration::from_millis(37 * kills % 300));
        kill(world.core_process().unwrap());
        let killed = Instant::now();
        eventually("the core serves again", || world.serves(world.core).then_some(()));
        slowest = slowest.max(killed.elapsed());
    }
    end.store(true, Ordering::Relaxed);
    let failed: usize = native_load.into_iter().map(|load| load.join().unwrap()).sum();
    let failed_over_core = core_load.join().unwrap();
    let served = native.load(Ordering::Relaxed);
    println!("native: {served} served, {failed} failed; core: {failed_over_core} failed; slowest return {slowest:?}");
    assert_eq!(failed, 0, "{}", world.hezar().log());
    assert_eq!(world.count("tuic", "healthy"), 20, "{}", world.hezar().log());
}
