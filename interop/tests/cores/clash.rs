//! `engine = "clash"`: a PROBE core and a GATEWAY core over a lab of nodes, most of them dead.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hezar_interop::harness::{Answer, PATIENCE, Running, ask, eventually, free_addresses, process_with, programs};
use hezar_lab::{DEMO_HOST, ECHO_HOST, Fault, Kind, UpstreamConfig, World, WorldConfig};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

const TOKEN: &str = "Authorization: Bearer token-for-the-api\r\n";
const SECRET: &str = "Authorization: Bearer secret-of-the-cores\r\n";
/// Kinds that a Clash core speaks, too.
const KINDS: [Kind; 6] =
    [Kind::Socks5, Kind::Socks5Auth, Kind::Http, Kind::ShadowsocksAes128, Kind::Shadowsocks2022, Kind::Vless];

/// A lab, and Hezar over it with Clash cores.
struct Cores {
    proxy: SocketAddr,
    api: SocketAddr,
    probe: SocketAddr,
    gateway: SocketAddr,
    folder: TempDir,
    hezar: Running,
    /// A PROBE core that is no child of Hezar.
    elsewhere: Option<Running>,
    world: World,
    runtime: tokio::runtime::Runtime,
}

impl Cores {
    /// Starts all of it; `None`, with a line that says so, when a program is not there and need not be.
    fn start(faults: &[Fault], dead_after: u32, more: &str) -> Option<Self> {
        Self::start_with(faults, dead_after, more, false)
    }

    /// The same, with a PROBE core elsewhere if `is_elsewhere`.
    fn start_with(faults: &[Fault], dead_after: u32, more: &str, is_elsewhere: bool) -> Option<Self> {
        let (program, [mihomo]) = programs("cores", ["mihomo"])?;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let upstreams = faults.iter().zip(KINDS.iter().cycle()).map(|(fault, kind)| UpstreamConfig {
            kind: *kind,
            fault: *fault,
            country: *b"DE",
            distance: None,
        });
        let config = WorldConfig { upstreams: upstreams.collect(), ..WorldConfig::healthy(0) };
        let world = runtime.block_on(World::start(config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [proxy, api, probe, gateway] = free_addresses(4)[..] else { panic!() };
        fs::write(folder.path().join("list.txt"), world.links()).unwrap();
        let elsewhere = is_elsewhere.then(|| core_elsewhere(&mihomo, folder.path(), probe));
        let probe_core = if is_elsewhere {
            format!("probe_controller = \"http://{probe}\"\nprobe_secret = \"secret-of-the-cores\"\n")
        } else {
            format!("expose_controller = \"{probe}\"\n")
        };
        let config = format!(
            "[proxy]\nlisten = \"{proxy}\"\ndrain = \"1s\"\n[api]\nlisten = \"{api}\"\ntoken = \"token-for-the-api\"\n\
             [engine]\nkind = \"clash\"\nupdate_pause = \"100ms\"\n{probe_core}\
             expose_gateway_controller = \"{gateway}\"\ncontroller_secret = \"secret-of-the-cores\"\n\
             [sidecar]\nmihomo = \"{}\"\n\
             [probe]\nurl = \"http://{DEMO_HOST}/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\n\
             interval = \"5s\"\ntimeout = \"10s\"\ndead_after = {dead_after}\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n{more}",
            mihomo.display()
        );
        fs::write(folder.path().join("hezar.toml"), config).unwrap();
        let mut hezar = Running::start(&program, &["--config", "hezar.toml", "--data", "data", "run"], folder.path());
        hezar.accepts(api);
        hezar.accepts(gateway);
        hezar.accepts(probe);
        hezar.accepts(proxy);
        Some(Self { proxy, api, probe, gateway, folder, hezar, elsewhere, world, runtime })
    }

    fn api(&self, path: &str) -> Value {
        json(&ask(self.api, "GET", path, TOKEN, ""))
    }

    fn count(&self, state: &str) -> u64 {
        self.api("/api/v1/status")["nodes"][state].as_u64().unwrap()
    }

    /// The ids of the nodes in a state.
    fn ids(&self, state: &str) -> BTreeSet<String> {
        let page = self.api(&format!("/api/v1/nodes?state={state}&limit=1000"));
        let items = page["nodes"].as_array().unwrap();
        items.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The members of a group of the GATEWAY core.
    fn members(&self, group: &str) -> BTreeSet<String> {
        let group = json(&ask(self.gateway, "GET", &format!("/proxies/{group}"), SECRET, ""));
        let all = group["all"].as_array().cloned().unwrap_or_default();
        all.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// A request through the GATEWAY core.
    fn get(&self, address: &str) -> Answer {
        ask(self.proxy, "GET", address, "", "")
    }

    /// The process of a core.
    fn pid(&self, home: &str) -> Option<Pid> {
        let homes = fs::read_dir(self.folder.path().join("data/cores")).ok()?;
        let home = homes.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(home))?.path();
        let home = home.to_str().unwrap();
        let is_core = |line: &str| line.contains("mihomo") && line.contains(home) && !line.contains("launch-child");
        Pid::from_raw(process_with(is_core)?.try_into().unwrap())
    }

    fn set_all(&self, fault: Fault) {
        for node in self.world.nodes() {
            self.runtime.block_on(self.world.set_fault(node.index, fault)).unwrap();
        }
    }
}

/// A core with nothing but a controller, as somebody runs it on another machine.
fn core_elsewhere(mihomo: &Path, folder: &Path, controller: SocketAddr) -> Running {
    let home = folder.join("elsewhere");
    fs::create_dir(&home).unwrap();
    let config = format!(
        "external-controller: {controller}\nsecret: secret-of-the-cores\nmixed-port: 0\nrules: ['MATCH,REJECT']\n"
    );
    fs::write(home.join("config.yaml"), config).unwrap();
    Running::start(mihomo, &["-d", "."], &home)
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or(Value::Null)
}

/// A target that counts who comes, and answers nobody: nothing leads there but a connection from this machine itself.
fn counting_origin() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        while listener.accept().is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, count)
}

/// 40 nodes that work among 160 that are dead in three ways.
fn mostly_dead() -> Vec<Fault> {
    let dead = [Fault::Refused, Fault::AcceptThenClose, Fault::Refused, Fault::Mute];
    (0..200).map(|index| if index % 5 == 0 { Fault::Healthy } else { dead[index % 4] }).collect()
}

#[test]
fn the_dead_are_found_and_the_pool_of_the_core_has_exactly_the_healthy_ones() {
    let Some(cores) = Cores::start(&mostly_dead(), 1, "") else { return };
    let begun = Instant::now();
    eventually("every node is judged", || (cores.count("new") == 0).then_some(()));
    println!("200 nodes were judged in {:?}: {} healthy", begun.elapsed(), cores.count("healthy"));
    eventually("40 nodes are healthy and 160 dead", || {
        (cores.count("healthy") == 40 && cores.count("dead") == 160).then_some(())
    });
    let healthy = cores.ids("healthy");
    eventually("POOL has exactly the healthy nodes", || (cores.members("POOL") == healthy).then_some(()));
    // The delay API of the PROBE core asks for its secret, and answers.
    assert_eq!(ask(cores.probe, "GET", "/version", "", "").status, 401);
    assert_eq!(ask(cores.probe, "GET", "/version", SECRET, "").status, 200);
    assert_eq!(json(&ask(cores.probe, "GET", "/proxies/PROBE", SECRET, ""))["type"], "LoadBalance");
    for _ in 0..40 {
        let answer = cores.get(&format!("http://{DEMO_HOST}/"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let status = cores.api("/api/v1/status");
    assert_eq!((&status["engine"]["name"], &status["engine"]["members"]), (&"clash".into(), &40.into()));
    eventually("the status tells what the core has moved", || {
        let status = cores.api("/api/v1/status");
        (status["engine"]["down"].as_u64()? > 0 && status["traffic"]["down"].as_u64()? > 0).then_some(())
    });
}

#[test]
fn without_a_node_that_works_requests_fail_and_nothing_goes_out_directly() {
    // Of more nodes the outage guard does not believe without a control URL that all of them died.
    let Some(cores) = Cores::start(&[Fault::Healthy; 3], 1, "") else { return };
    let (origin, direct) = counting_origin();
    // Before the first node is judged, too.
    assert_ne!(cores.get(&format!("http://{origin}/")).status, 200);
    eventually("POOL has the nodes", || (cores.members("POOL").len() == 3).then_some(()));
    assert_eq!(cores.get(&format!("http://{DEMO_HOST}/")).status, 200);
    cores.set_all(Fault::Refused);
    eventually("no node is healthy", || (cores.count("healthy") + cores.count("suspect") == 0).then_some(()));
    eventually("POOL has no node", || (cores.members("POOL").iter().eq(["none"])).then_some(()));
    for _ in 0..10 {
        assert_eq!(cores.get(&format!("http://{origin}/")).status, 502);
        assert_eq!(cores.get(&format!("http://{DEMO_HOST}/")).status, 502);
    }
    // They are back.
    cores.set_all(Fault::Healthy);
    eventually("a request is served again", || {
        let _ = ask(cores.api, "POST", "/api/v1/probe", &format!("{TOKEN}Content-Type: application/json\r\n"), "{}");
        (cores.get(&format!("http://{DEMO_HOST}/")).status == 200).then_some(())
    });
    assert_eq!(direct.load(Ordering::Relaxed), 0, "nothing ever goes out directly");
}

/// A tunnel to the echo of the lab.
fn tunnel(proxy: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "CONNECT {ECHO_HOST}:7 HTTP/1.1\r\nHost: {ECHO_HOST}:7\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}

fn echoes(stream: &mut TcpStream, text: &[u8]) -> bool {
    let mut back = vec![0; text.len()];
    stream.write_all(text).is_ok() && stream.read_exact(&mut back).is_ok() && back == text
}

#[test]
fn changes_of_the_members_cut_no_tunnel() {
    let Some(cores) = Cores::start(&[Fault::Healthy; 30], 3, "") else { return };
    eventually("every node works", || (cores.count("healthy") == 30).then_some(()));
    eventually("POOL has them all", || (cores.members("POOL").len() == 30).then_some(()));
    let mut tunnels: Vec<TcpStream> = (0..100).map(|_| tunnel(cores.proxy)).collect();
    assert!(tunnels.iter_mut().all(|tunnel| echoes(tunnel, b"before")));
    let ids: Vec<String> = cores.ids("healthy").into_iter().collect();
    let headers = format!("{TOKEN}Content-Type: application/json\r\n");
    for change in 0..500 {
        // Each node goes and comes back; most of the others stay.
        let (id, is_off) = (&ids[change / 2 % ids.len()], change % 2 == 0);
        let body = format!("{{\"disabled\":{is_off}}}");
        let answer = ask(cores.api, "PATCH", &format!("/api/v1/nodes/{id}"), &headers, &body);
        assert!(answer.status < 300, "{answer:?}");
        if change % 50 == 0 {
            // However fast the machine is, the core is told in between.
            eventually("POOL lacks the node", || (!cores.members("POOL").contains(id)).then_some(()));
        }
        let number = change % tunnels.len();
        assert!(echoes(&mut tunnels[number], b"while"), "tunnel {number} is cut at change {change}");
    }
    assert!(tunnels.iter_mut().all(|tunnel| echoes(tunnel, b"after")), "a tunnel is cut");
    let metrics = ask(cores.api, "GET", "/metrics", "", "").body;
    let updates = metrics.lines().find_map(|line| line.strip_prefix("hezar_clash_updates_total ")).unwrap();
    println!("500 changes were {updates} updates of the core, and 100 tunnels lived on");
    assert!(updates.parse::<u64>().unwrap() >= 10, "{updates}");
    eventually("POOL has them all again", || (cores.members("POOL").len() == 30).then_some(()));
}

#[test]
fn cores_come_back_when_they_are_killed_and_end_with_the_program() {
    let Some(mut cores) = Cores::start(&[Fault::Healthy; 6], 3, "") else { return };
    eventually("requests are served", || {
        (cores.members("POOL").len() == 6 && cores.get(&format!("http://{DEMO_HOST}/")).status == 200).then_some(())
    });
    for home in ["gateway", "probe"] {
        let pid = cores.pid(home).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        let begun = Instant::now();
        eventually("another process is there", || cores.pid(home).filter(|next| *next != pid));
        if home == "gateway" {
            eventually("requests are served again", || {
                let is_up = TcpStream::connect_timeout(&cores.proxy, Duration::from_secs(1)).is_ok();
                (is_up && cores.get(&format!("http://{DEMO_HOST}/")).status == 200).then_some(())
            });
        }
        println!("the {home} core is back after {:?}", begun.elapsed());
    }
    assert_eq!(cores.count("healthy"), 6, "the death of a core is no fault of the nodes");
    let pids = [cores.pid("gateway").unwrap(), cores.pid("probe").unwrap()];
    let program = Pid::from_raw(i32::try_from(cores.hezar.pid()).unwrap()).unwrap();
    kill_process(program, Signal::KILL).unwrap();
    eventually("no core outlives the program", || {
        pids.iter().all(|pid| test_kill_process(*pid).is_err()).then_some(())
    });
    // The homes of the dead process are removed by the next one.
    let (program, _) = programs("cores", ["mihomo"]).unwrap();
    cores.hezar = Running::start(&program, &["--config", "hezar.toml", "--data", "data", "run"], cores.folder.path());
    cores.hezar.accepts(cores.api);
    eventually("requests are served by the next one", || {
        let is_up = TcpStream::connect_timeout(&cores.proxy, Duration::from_secs(1)).is_ok();
        (is_up && cores.get(&format!("http://{DEMO_HOST}/")).status == 200).then_some(())
    });
    assert_eq!(fs::read_dir(cores.folder.path().join("data/cores")).unwrap().count(), 2);
}

#[test]
fn listeners_have_their_nodes_and_users_also_after_a_reload() {
    let [further] = free_addresses(1)[..] else { panic!() };
    let more = format!(
        "[[listener]]\nname = \"shadow\"\nlisten = \"{further}\"\nschemes = [\"ss\"]\n\
         users = [{{ name = \"alice\", password = \"in wonderland\" }}]\n"
    );
    let Some(cores) = Cores::start(&[Fault::Healthy; 12], 3, &more) else { return };
    eventually("every node works", || (cores.members("POOL").len() == 12).then_some(()));
    eventually("the further listener has the nodes of its scheme", || {
        (cores.members("POOL-shadow").len() == 4).then_some(())
    });
    let page = format!("http://{DEMO_HOST}/");
    let with = |login: &str| {
        // alice:in wonderland, bob:builder
        let login = if login == "alice" { "YWxpY2U6aW4gd29uZGVybGFuZA==" } else { "Ym9iOmJ1aWxkZXI=" };
        ask(further, "GET", &page, &format!("Proxy-Authorization: Basic {login}\r\n"), "").status
    };
    assert_eq!(ask(further, "GET", &page, "", "").status, 407);
    assert_eq!((with("alice"), with("bob")), (200, 403));
    let file = cores.folder.path().join("hezar.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("alice", "bob").replace("in wonderland", "builder")).unwrap();
    eventually("the users are others", || (with("bob") == 200).then_some(()));
    assert_ne!(with("alice"), 200);
    assert_eq!(cores.get(&page).status, 200);
    // What a core must not leave out is refused, and nothing changes.
    fs::write(&file, text.replace("schemes", "proxy_protocol = [\"127.0.0.1\"]\nschemes")).unwrap();
    let answer = ask(cores.api, "POST", "/api/v1/reload", TOKEN, "");
    assert!(answer.status >= 400 && answer.body.contains("proxy_protocol"), "{answer:?}");
    assert_eq!(with("bob"), 200);
}

/// Passes connections to a port of 127.0.0.1 on to `to`.
fn forwarded(to: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            for (mut from, mut into) in
                [(&client, &server), (&server, &client)].map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()))
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn nodes_with_names_are_dialled_at_the_addresses_that_hezar_finds() {
    let Some(cores) = Cores::start(&[Fault::Healthy; 3], 3, "") else { return };
    eventually("every node works", || (cores.members("POOL").len() == 3).then_some(()));
    let before = cores.members("POOL");
    // The cores read no names of this machine (`use-system-hosts` is off): the answer is Hezar's.
    let port = forwarded(cores.world.nodes()[0].address);
    fs::write(cores.folder.path().join("list.txt"), format!("socks5://localhost:{port}#named\n")).unwrap();
    let header = format!("{TOKEN}Content-Type: application/json\r\n");
    let refreshed = ask(cores.api, "POST", "/api/v1/sources/list/refresh", &header, "{}");
    assert!(refreshed.status < 300, "{refreshed:?}");
    eventually("the node with a name works", || {
        cores.members("POOL").iter().any(|member| member != "none" && !before.contains(member)).then_some(())
    });
}

#[test]
fn a_core_elsewhere_checks_the_nodes_and_its_absence_blames_none() {
    let faults: Vec<Fault> =
        (0..12).map(|index| if index % 2 == 0 { Fault::Healthy } else { Fault::Refused }).collect();
    let Some(mut cores) = Cores::start_with(&faults, 1, "", true) else { return };
    eventually("6 nodes are healthy and 6 dead", || {
        (cores.count("healthy") == 6 && cores.count("dead") == 6).then_some(())
    });
    let healthy = cores.ids("healthy");
    eventually("POOL has exactly the healthy nodes", || (cores.members("POOL") == healthy).then_some(()));
    assert_eq!(cores.api("/api/v1/status")["engine"]["cores"][0]["state"], "elsewhere");
    cores.elsewhere = None;
    eventually("the status says that the core is away", || {
        (cores.api("/api/v1/status")["engine"]["cores"][0]["state"] == "unreachable").then_some(())
    });
    assert_eq!((cores.count("healthy"), cores.count("dead")), (6, 6));
    assert_eq!(cores.get(&format!("http://{DEMO_HOST}/")).status, 200);
}
