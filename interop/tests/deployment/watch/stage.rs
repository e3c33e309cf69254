//! A lab world, Hezar over it with traffic, Prometheus and Alertmanager with the files of deploy/ in shorter times, and a receiver of alerts.

use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use hezar_interop::harness::{PATIENCE, Running, ask, eventually, free_addresses, programs};
use hezar_lab::{Fault, Kind, World, WorldConfig};
use serde_json::Value;
use tempfile::TempDir;

use super::deploy;

/// The token of the API.
const TOKEN: &str = "token-for-the-api";
/// `alice:right` in Base64.
const ALICE: &str = "Proxy-Authorization: Basic YWxpY2U6cmlnaHQ=\r\n";
/// The nodes of the world.
const NODES: usize = 16;

/// Everything, running.
pub(super) struct Stage {
    prometheus_address: SocketAddr,
    alerts: Arc<Mutex<Vec<Value>>>,
    runtime: tokio::runtime::Runtime,
    world: Option<World>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    programs: Vec<Running>,
    _folder: TempDir,
}

impl Stage {
    /// Starts everything, and waits until most nodes work. `None`, with a line that says so, when a program is not there and need not be.
    pub(super) fn start() -> Option<Self> {
        let (hezar, [prometheus, alertmanager]) = programs("watch", ["prometheus", "alertmanager"])?;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let kinds = Kind::ALL.into_iter().cycle().take(NODES);
        let world = runtime.block_on(World::start(WorldConfig::kinds(kinds))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [proxy, api, prometheus_address, alertmanager_address] = free_addresses(4)[..] else { panic!() };
        let (stop, alerts) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (receiver, receiving) = receive_alerts(&alerts, &stop);
        write_files(folder.path(), &world, [proxy, api, prometheus_address, alertmanager_address, receiver]);
        let start = |program: &Path, name: &str, words: &[&str]| {
            let own = folder.path().join(name);
            fs::create_dir_all(&own).unwrap();
            Running::start(program, words, &own)
        };
        let mut programs = vec![
            start(&hezar, "hezar", &["--config", "../hezar.toml", "run"]),
            start(
                &alertmanager,
                "alertmanager",
                &[
                    "--config.file=../alertmanager.yml",
                    &format!("--web.listen-address={alertmanager_address}"),
                    "--cluster.listen-address=",
                    "--storage.path=data",
                ],
            ),
            start(
                &prometheus,
                "prometheus",
                &[
                    "--config.file=../prometheus.yml",
                    &format!("--web.listen-address={prometheus_address}"),
                    "--storage.tsdb.path=data",
                ],
            ),
        ];
        let open = [vec![api, proxy], vec![alertmanager_address], vec![prometheus_address]];
        for (program, addresses) in programs.iter_mut().zip(open) {
            addresses.into_iter().for_each(|address| program.accepts(address));
        }
        let asking = ask_again_and_again(proxy, &stop);
        let world = Some(world);
        let threads = vec![receiving, asking];
        let stage = Self { prometheus_address, alerts, runtime, world, stop, threads, programs, _folder: folder };
        let healthy = || stage.number("hezar:nodes_healthy").is_some_and(|number| number >= NODES as f64);
        eventually("every node works", || healthy().then_some(()));
        Some(stage)
    }

    /// Waits until Prometheus has read both pages of metrics without a complaint.
    pub(super) fn wait_for_targets(&self) {
        eventually("both targets are up", || {
            let answer = ask(self.prometheus_address, "GET", "/api/v1/targets", "", "");
            let json: Value = serde_json::from_str(&answer.body).ok()?;
            let targets = json["data"]["activeTargets"].as_array()?;
            let good = |target: &&Value| target["health"] == "up" && target["lastError"] == "";
            (targets.iter().filter(good).count() == 2).then_some(())
        });
    }

    /// The labels of all series that a query finds; `None` when it finds nothing, or no number.
    pub(super) fn values(&self, query: &str) -> Option<HashSet<String>> {
        let found = self.query(query);
        let number = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        found.iter().find(|series| number(series).is_some_and(|number| !number.is_nan()))?;
        let labels = found.iter().filter_map(|series| series["metric"].as_object());
        Some(labels.flat_map(|labels| labels.keys().cloned()).collect())
    }

    fn number(&self, query: &str) -> Option<f64> {
        self.query(query).first()?["value"][1].as_str()?.parse().ok()
    }

    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = ask(self.prometheus_address, "GET", &format!("/api/v1/query?query={encoded}"), "", "");
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        assert_eq!(json["status"], "success", "{query}: {}", answer.body);
        json["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Half of the nodes refuse every connection from now on.
    pub(super) fn kill_half(&self) {
        self.set_fault(Fault::Refused);
    }

    /// They serve again.
    pub(super) fn revive(&self) {
        self.set_fault(Fault::Healthy);
    }

    fn set_fault(&self, fault: Fault) {
        let world = self.world.as_ref().unwrap();
        self.runtime.block_on(async {
            for index in (0..NODES).step_by(2) {
                world.set_fault(index, fault).await.unwrap();
            }
        });
    }

    /// Whether the receiver was told that an alert has this status.
    pub(super) fn told(&self, alert: &str, status: &str) -> bool {
        let groups = self.alerts.lock().unwrap();
        let mut alerts = groups.iter().flat_map(|group| group["alerts"].as_array().cloned().unwrap_or_default());
        alerts.any(|told| told["labels"]["alertname"] == alert && told["status"] == status)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever asks ends before what it asks.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        self.programs.clear();
        if let Some(world) = self.world.take() {
            self.runtime.block_on(world.shutdown());
        }
    }
}

/// Writes the configuration of every program: those of deploy/ with other addresses and shorter times.
fn write_files(folder: &Path, world: &World, addresses: [SocketAddr; 5]) {
    let [proxy, api, prometheus, alertmanager, receiver] = addresses;
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    write("token", TOKEN.to_owned());
    write("list.txt", world.links());
    write(
        "hezar.toml",
        format!(
            "[proxy]\nlisten = \"{proxy}\"\nusers = [{{ name = \"alice\", password = \"right\" }}]\ndeny_hosts = [\"denied.hezar\"]\n\
             [api]\nlisten = \"{api}\"\ntoken = \"{TOKEN}\"\nmetrics_token = true\n\
             [probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"http://demo.hezar/cdn-cgi/trace\"\n\
             canary_url = \"\"\ncontrol = [\"http://{prometheus}/-/healthy\"]\ninterval = \"2s\"\ndead_interval = \"2s\"\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
        ),
    );
    let read = |path: &str| fs::read_to_string(deploy(path)).unwrap();
    let config = read("prometheus/prometheus.yml")
        .replace("hezar:9090", &api.to_string())
        .replace("alertmanager:9093", &alertmanager.to_string())
        .replace("/etc/prometheus/hezar-token", "token")
        .replace("interval: 15s", "interval: 1s")
        .replace("interval: 30s", "interval: 1s");
    write("prometheus.yml", config);
    write("rules.yaml", shortened(&read("prometheus/rules.yaml")));
    let config = read("alertmanager/alertmanager.yml")
        .replace("127.0.0.1:9099", &receiver.to_string())
        .replace("group_wait: 30s", "group_wait: 1s")
        .replace("group_interval: 5m", "group_interval: 1s");
    write("alertmanager.yml", config);
}

/// The rules with shorter times: hours and minutes become seconds.
fn shortened(rules: &str) -> String {
    let windows = [("[5m]", "[10s]"), ("[15m]", "[10s]"), ("[1h]", "[60s]"), ("[6h]", "[30s]")];
    let text = windows.into_iter().fold(rules.to_owned(), |text, (long, short)| text.replace(long, short));
    let short = |line: &str| match line.split_once("for: ") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}for: 1s\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(short).collect()
}

/// Takes what Alertmanager posts, until the stop.
fn receive_alerts(alerts: &Arc<Mutex<Vec<Value>>>, stop: &Arc<AtomicBool>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (alerts, stop) = (Arc::clone(alerts), Arc::clone(stop));
    let thread = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => alerts.lock().unwrap().extend(posted(stream)),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    });
    (address, thread)
}

/// The JSON of one POST, which is answered with 200.
fn posted(mut stream: TcpStream) -> Option<Value> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut text = Vec::new();
    loop {
        let (head, body) = split(&text);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if length.is_some_and(|length| body.len() >= length) {
            break;
        }
        let mut part = [0; 4096];
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(part.get(..count)?);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    serde_json::from_str(&split(&text).1).ok()
}

/// The head in lower case, and the body.
fn split(text: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_lowercase(), body.to_owned())
}

/// Sends requests of a user through the proxy until the stop, some of them for a host that is denied.
fn ask_again_and_again(proxy: SocketAddr, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        for round in 0_u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let page = if round % 10 == 9 { "http://denied.hezar/" } else { "http://demo.hezar/" };
            drop(ask(proxy, "GET", page, ALICE, ""));
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}
