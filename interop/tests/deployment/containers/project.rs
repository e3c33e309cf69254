//! deploy/compose.yaml as an operator runs it, with what differs here.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    engine::Engine,
    images::{IMAGE, TOOLS},
};

/// How long a service may take to be healthy.
const HEALTHY: Duration = Duration::from_secs(120);

/// The service whose nodes the others have: another Hezar, which runs the demonstration.
pub(super) const UPSTREAM: &str = r#"  upstream:
    image: hezar-test/hezar
    command: ["run", "--demo"]
    environment: { HEZAR_PROXY_OPEN_TO: private }
    volumes: ["upstream:/data"]
    healthcheck: { test: ["CMD", "hezar", "health"], interval: 2s, timeout: 10s }
    stop_grace_period: 30s
"#;

/// What differs from compose.yaml: nodes that are to be had here (those of another Hezar, which runs the demonstration), images that are,
/// and checks that come sooner.
const OVERRIDE: &str = r#"
services:
UPSTREAM
  hezar:
    healthcheck: { interval: 2s }
    volumes: ["CONFIG:/etc/hezar:ro"]
  prometheus:
    entrypoint: ["/usr/bin/prometheus"]
    user: "65534:65534"
    healthcheck: { interval: 2s }
  alertmanager:
    entrypoint: ["/usr/bin/prometheus-alertmanager"]
    user: "65534:65534"
    healthcheck: { interval: 2s }
  nginx:
    entrypoint: ["/usr/sbin/nginx", "-g", "daemon off;"]
    healthcheck: { interval: 2s }
volumes:
  upstream:
"#;

/// The listener of the profile `tls`, as config/hezar.toml shows it.
const CONFIG: &str = r#"
[[listener]]
name = "tls"
listen = "0.0.0.0:8001"
proxy_protocol = ["private"]
"#;

/// Two nodes that lead to the demonstration.
pub(super) const CONFIG_PROBE: &str = r#"
[[source]]
name = "upstream"
allow_private = true
links = ["socks5://upstream:8000#one", "http://upstream:8000#two"]

[probe]
url = "http://demo.hezar/generate_204"
trace_url = "http://demo.hezar/cdn-cgi/trace"
canary_url = ""
control = []
interval = "2s"
"#;

/// deploy/compose.yaml as an operator runs it, with the override.
pub(super) struct Project<'e> {
    pub(super) engine: &'e Engine,
    pub(super) deploy: PathBuf,
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) override_file: String,
}

impl Project<'_> {
    pub(super) fn compose(&self, arguments: &[&str]) -> String {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let common = ["--project-name", "hz", "--file", "compose.yaml", "--file", self.override_file.as_str()];
        self.engine.compose(&self.deploy, &variables, &[&common[..], arguments].concat())
    }

    /// Brings services up and waits until each is healthy.
    pub(super) fn up(&self, services: &[&str], options: &[&str]) {
        self.compose(&[&["up", "--detach", "--no-build"][..], options, services].concat());
        self.healthy(services);
    }

    pub(super) fn healthy(&self, services: &[&str]) {
        for service in services {
            let container = format!("hz_{service}_1");
            let end = Instant::now() + HEALTHY;
            // On a busy machine a check may fail by its time limit, and the next one not.
            while self.engine.must(&["inspect", "--format", "{{.State.Health.Status}}", &container]) != "healthy" {
                assert!(Instant::now() < end, "{service} is not healthy: {}", self.diagnosis(&container));
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }

    pub(super) fn diagnosis(&self, container: &str) -> String {
        let log = self.engine.run(&["logs", "--tail", "30", container]);
        let checks = self.engine.run(&["inspect", "--format", "{{json .State.Health}}", container]);
        [log.stdout, log.stderr, checks.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    /// What a command says that runs in the container of a service.
    pub(super) fn exec(&self, service: &str, command: &[&str]) -> String {
        let container = format!("hz_{service}_1");
        self.engine.must(&[&["exec", container.as_str()][..], command].concat())
    }

    /// Whether a command succeeds there.
    pub(super) fn succeeds(&self, service: &str, command: &[&str]) -> bool {
        let container = format!("hz_{service}_1");
        self.engine.run(&[&["exec", container.as_str()][..], command].concat()).status.success()
    }

    /// The HTTP statuses of so many requests through the published port; `000` for one that was not answered.
    fn statuses(&self, proxy: &str, count: usize) -> Vec<String> {
        let mut curl = self.engine.in_network("curl");
        curl.args(["--silent", "--proxy-insecure", "--max-time", "30", "--proxy", proxy, "--output", "/dev/null"]);
        let output = curl.args(["--write-out", "%{http_code}\\n", &format!("http://demo.hezar/?[1-{count}]")]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).lines().map(str::to_owned).collect()
    }

    /// Whether one request through the published port is answered.
    pub(super) fn is_served(&self, proxy: &str) -> bool {
        self.statuses(proxy, 1) == ["200"]
    }

    /// Whether a published port answers a request of its own.
    pub(super) fn answers(&self, url: &str) -> bool {
        let mut curl = self.engine.in_network("curl");
        curl.args(["--silent", "--fail", "--max-time", "30", "--output", "/dev/null", url]).status().unwrap().success()
    }

    pub(super) fn serves(&self, proxy: &str, count: usize) {
        assert_eq!(self.statuses(proxy, count), vec!["200"; count], "{proxy}");
    }

    /// The ids of all nodes.
    pub(super) fn nodes(&self) -> Vec<String> {
        let lines = self.exec("hezar", &["hezar", "nodes", "--json", "--limit", "1000"]);
        let id =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        lines.lines().map(id).collect()
    }
}

/// Everything that compose.yaml reads, in the engine's folder.
pub(super) fn project(engine: &Engine) -> Project<'_> {
    let folder = engine.folder();
    let path = |name: &str| folder.join(name).display().to_string();
    let config = folder.join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("hezar.toml"), format!("{CONFIG}{CONFIG_PROBE}")).unwrap();
    let tls = folder.join("tls");
    fs::create_dir(&tls).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["proxy.example.test".to_owned()]).unwrap();
    fs::write(tls.join("fullchain.pem"), certificate.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(tls.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(
        folder.join("override.yaml"),
        OVERRIDE.replace("UPSTREAM\n", UPSTREAM).replace("CONFIG", &config.display().to_string()),
    )
    .unwrap();
    fs::write(folder.join("token"), "not yet made\n").unwrap();
    let variables = vec![
        ("COMPOSE_PROFILES", "watch,tls".to_owned()),
        ("HEZAR_IMAGE", IMAGE.to_owned()),
        ("PROMETHEUS_IMAGE", TOOLS.to_owned()),
        ("ALERTMANAGER_IMAGE", TOOLS.to_owned()),
        ("NGINX_IMAGE", TOOLS.to_owned()),
        ("HEZAR_TLS_PUBLISH", "127.0.0.1".to_owned()),
        ("HEZAR_TLS_FOLDER", path("tls")),
        ("PROMETHEUS_TOKEN_FILE", path("token")),
        // As many as this machine may give.
        ("HEZAR_NOFILE", rlimit::Resource::NOFILE.get_hard().unwrap().min(65_536).to_string()),
    ];
    Project { engine, deploy: deploy(), variables, override_file: path("override.yaml") }
}

/// The folder `deploy` of this repository.
pub(super) fn deploy() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")).unwrap()
}
