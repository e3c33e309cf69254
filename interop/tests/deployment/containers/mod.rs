//! deploy/Dockerfile and deploy/compose.yaml on a real engine: images from Debian packages and the program that was just built.
//!
//! Grafana is no Debian package: its service is left out here, and its files are checked beside Prometheus (`watch`).

mod engine;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use hezar_interop::{
    debian_archive,
    harness::{eventually, programs},
};

use crate::netns::Host;
use engine::{Engine, tools_context};

/// The image of Debian's that the others are made over.
const BASE: &str = "hezar-test/debian";
/// Hezar's own.
const IMAGE: &str = "hezar-test/hezar";
/// Prometheus, Alertmanager and nginx in one.
const TOOLS: &str = "hezar-test/tools";
/// How long a container may take to end after SIGTERM, by compose.yaml.
const GRACE: Duration = Duration::from_secs(30);
/// What the programs read that Debian has in files of their own.
const FILES: [&str; 4] = [
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/etc/nginx/modules-enabled/50-mod-stream.conf",
    "/usr/share/prometheus/alertmanager/default.tmpl",
    "/usr/share/prometheus/alertmanager/email.tmpl",
];
/// What the published images have besides their programs.
const PREPARE: &str = "install -d -o 65534 -g 65534 /prometheus /alertmanager \
    && mkdir -p /usr/share/nginx && ln -s /usr/lib/nginx/modules /usr/share/nginx/modules";
/// How long a service may take to be healthy.
const HEALTHY: Duration = Duration::from_secs(120);
const SERVICES: [&str; 5] = ["upstream", "hezar", "prometheus", "alertmanager", "nginx"];

/// What differs from compose.yaml: nodes that are to be had here (those of another Hezar, which runs the demonstration), images that are,
/// and checks that come sooner.
const OVERRIDE: &str = r#"
services:
  upstream:
    image: hezar-test/hezar
    command: ["run", "--demo"]
    environment: { HEZAR_PROXY_OPEN_TO: private }
    volumes: ["upstream:/data"]
    healthcheck: { test: ["CMD", "hezar", "health"], interval: 2s, timeout: 10s }
    stop_grace_period: 30s
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

/// The listener of the profile `tls`, as config/hezar.toml shows it, and two nodes that lead to the demonstration.
const CONFIG: &str = r#"
[[listener]]
name = "tls"
listen = "0.0.0.0:8001"
proxy_protocol = ["private"]

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
struct Project<'e> {
    engine: &'e Engine,
    deploy: PathBuf,
    variables: Vec<(&'static str, String)>,
    override_file: String,
}

impl Project<'_> {
    fn compose(&self, arguments: &[&str]) -> String {
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let common = ["--project-name", "hz", "--file", "compose.yaml", "--file", self.override_file.as_str()];
        self.engine.compose(&self.deploy, &variables, &[&common[..], arguments].concat())
    }

    /// Brings services up and waits until each is healthy.
    fn up(&self, services: &[&str], options: &[&str]) {
        self.compose(&[&["up", "--detach", "--no-build"][..], options, services].concat());
        self.healthy(services);
    }

    fn healthy(&self, services: &[&str]) {
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

    fn diagnosis(&self, container: &str) -> String {
        let log = self.engine.run(&["logs", "--tail", "30", container]);
        let checks = self.engine.run(&["inspect", "--format", "{{json .State.Health}}", container]);
        [log.stdout, log.stderr, checks.stdout].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    }

    /// What a command says that runs in the container of a service.
    fn exec(&self, service: &str, command: &[&str]) -> String {
        let container = format!("hz_{service}_1");
        self.engine.must(&[&["exec", container.as_str()][..], command].concat())
    }

    /// Whether a command succeeds there.
    fn succeeds(&self, service: &str, command: &[&str]) -> bool {
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

    fn serves(&self, proxy: &str, count: usize) {
        assert_eq!(self.statuses(proxy, count), vec!["200"; count], "{proxy}");
    }

    /// The ids of all nodes.
    fn nodes(&self) -> Vec<String> {
        let lines = self.exec("hezar", &["hezar", "nodes", "--json", "--limit", "1000"]);
        let id =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        lines.lines().map(id).collect()
    }
}

#[test]
fn compose_brings_everything_up_and_keeps_it() {
    let parts = [
        "dockerd",
        "docker",
        "docker-compose",
        "prometheus",
        "promtool",
        "alertmanager",
        "amtool",
        "nginx",
        "curl",
        "debootstrap",
        "ip",
    ];
    let Some((hezar, [dockerd, docker, compose, tools @ ..])) = programs("containers", parts) else {
        return;
    };
    let engine = match Engine::start(&dockerd, docker, compose) {
        Ok(engine) => engine,
        Err(reason) => {
            assert!(std::env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "dockerd does not run here: {reason}");
            println!("containers: SKIPPED, dockerd does not run here: {reason}");
            return;
        }
    };
    let begin = Instant::now();
    let reached = |stage: &str| println!("containers: {stage} after {:.0?}", begin.elapsed());
    make_images(&engine, &hezar, &tools[..6]);
    reached("the images are made");
    the_whole_workspace_reaches_the_builder(&engine);
    refuses_to_be_open_to_all(&engine);
    let mut project = project(&engine);

    project.up(&["upstream", "hezar"], &[]);
    project.serves("http://127.0.0.1:8000", 100);
    project.serves("socks5h://127.0.0.1:8000", 5);
    is_confined(&project);
    reached("100 requests are served");

    let token = project.exec("hezar", &["hezar", "token", "create", "prometheus", "--scope", "read"]);
    fs::write(engine.folder().join("token"), token).unwrap();
    project.up(&SERVICES, &[]);
    project.serves("https://127.0.0.1:8443", 10);
    is_scraped(&project);
    reached("every service is healthy");

    let link = "socks5://127.0.0.1:9#kept";
    project.exec("hezar", &["hezar", "add", "--allow-private", link]);
    let (nodes, token) = (project.nodes(), project.exec("hezar", &["cat", "/data/token"]));
    let kept = |project: &Project<'_>, what: &str| {
        assert_eq!(project.exec("hezar", &["cat", "/data/token"]), token, "{what}");
        let now = project.nodes();
        assert!(nodes.iter().all(|node| now.contains(node)), "{what}: {nodes:?} are not all among {now:?}");
    };
    project.compose(&["restart"]);
    project.healthy(&SERVICES);
    kept(&project, "after a restart of each container");
    project.serves("http://127.0.0.1:8000", 5);
    project.serves("https://127.0.0.1:8443", 5);
    reached("every service was restarted");

    strangers_are_refused(&mut project);
    kept(&project, "in a new container over the same volume");
    ends_in_time(&project);
    project.compose(&["down", "--volumes"]);
    assert_eq!(engine.must(&["ps", "--all", "--quiet"]), "");
    assert_eq!(engine.must(&["volume", "ls", "--quiet"]), "");
}

/// The base from Debian's packages, Hezar's image by deploy/Dockerfile, and one with the other programs.
fn make_images(engine: &Engine, hezar: &Path, tools: &[PathBuf]) {
    let archive = debian_archive(&[]).unwrap();
    engine.must_with_input(&["import", "-", BASE], &archive);
    let context = engine.folder().join("context");
    fs::create_dir(&context).unwrap();
    fs::copy(hezar, context.join("hezar")).unwrap();
    let dockerfile = deploy().join("Dockerfile");
    let base = format!("RUNTIME_IMAGE={BASE}");
    let build = ["build", "--target", "prebuilt", "--build-arg", &base, "--build-arg", "PACKAGES="];
    let place = ["--tag", IMAGE, "--file", dockerfile.to_str().unwrap(), context.to_str().unwrap()];
    engine.must(&[&build[..], &place].concat());
    let context = engine.folder().join("tools");
    let tools: Vec<&Path> = tools.iter().map(PathBuf::as_path).chain(FILES.map(Path::new)).collect();
    fs::create_dir(&context).unwrap();
    tools_context(BASE, &tools, PREPARE, &context);
    engine.must(&["build", "--tag", TOOLS, context.to_str().unwrap()]);
}

fn deploy() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")).unwrap()
}

/// The stage of deploy/Dockerfile that prepares the layer of dependencies, from the true context: cargo finds every manifest and target.
fn the_whole_workspace_reaches_the_builder(engine: &Engine) {
    let (dockerfile, image) = (deploy().join("Dockerfile"), "hezar-test/manifests");
    let (build_image, runtime_image) = (format!("BUILD_IMAGE={BASE}"), format!("RUNTIME_IMAGE={BASE}"));
    let arguments = ["--build-arg", &build_image, "--build-arg", &runtime_image, "--build-arg", "PACKAGES="];
    let root = dockerfile.parent().unwrap().parent().unwrap();
    let place = ["--tag", image, "--file", dockerfile.to_str().unwrap(), root.to_str().unwrap()];
    engine.must(&[&["build", "--target", "manifests"][..], &arguments, &place].concat());
    let container = engine.must(&["create", image, "true"]);
    let stubs = engine.folder().join("stubs");
    engine.must(&["cp", &format!("{container}:/stubs"), stubs.to_str().unwrap()]);
    engine.must(&["rm", &container]);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--offline", "--locked", "--format-version", "1"]).current_dir(&stubs);
    let output = cargo.env_remove("CARGO_MANIFEST_DIR").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"name\":\"hezar-lab\""), "the workspace is there");
}

/// The image alone, without users and without a word about who needs none, serves nobody.
fn refuses_to_be_open_to_all(engine: &Engine) {
    let refused = engine.run(&["run", "--rm", IMAGE]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("0.0.0.0:8000 can be reached from other machines") && said.contains("open_to"), "{said}");
}

fn project(engine: &Engine) -> Project<'_> {
    let folder = engine.folder();
    let path = |name: &str| folder.join(name).display().to_string();
    let config = folder.join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("hezar.toml"), CONFIG).unwrap();
    let tls = folder.join("tls");
    fs::create_dir(&tls).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["proxy.example.test".to_owned()]).unwrap();
    fs::write(tls.join("fullchain.pem"), certificate.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(tls.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(folder.join("override.yaml"), OVERRIDE.replace("CONFIG", &config.display().to_string())).unwrap();
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

/// Not root, no capability, no new privileges, and nothing to write but the data and a temporary folder.
fn is_confined(project: &Project<'_>) {
    assert_eq!(project.exec("hezar", &["id", "-u"]), "10001");
    for (path, writable) in
        [("/x", false), ("/etc/hezar/x", false), ("/usr/local/bin/x", false), ("/tmp/x", true), ("/data/x", true)]
    {
        assert_eq!(project.succeeds("hezar", &["touch", path]), writable, "{path}");
    }
    let status = project.exec("hezar", &["cat", "/proc/1/status"]);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((field("CapBnd:").as_str(), field("NoNewPrivs:").as_str()), ("0000000000000000", "1"), "{status}");
    assert_eq!((field("Uid:"), field("CapEff:")), ("10001\t10001\t10001\t10001".to_owned(), "0".repeat(16)));
    let log = project.engine.run(&["logs", "hz_hezar_1"]);
    let log = [log.stdout, log.stderr].concat();
    assert!(String::from_utf8_lossy(&log).contains("gateway listens"), "the log goes to the engine");
}

/// Prometheus has the metrics of Hezar, which it asks for under the service's name with a token from a file.
fn is_scraped(project: &Project<'_>) {
    eventually("Prometheus scrapes both jobs", || {
        let query = ["promtool", "query", "instant", "http://localhost:9090", "sum(up{job=~\"hezar.*\"})"];
        project.exec("prometheus", &query).contains("=> 2 @").then_some(())
    });
}

/// A port that is published to every address, while there are no users, serves nobody who has no private address: the engine passes
/// the clients' addresses on.
fn strangers_are_refused(project: &mut Project<'_>) {
    project.variables.push(("HEZAR_PUBLISH", "0.0.0.0".to_owned()));
    project.up(&["hezar"], &[]);
    let stranger = Host::new("stranger").unwrap();
    let link = ["link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", stranger.name()];
    for words in [&link[..], &["address", "add", "198.18.9.1/24", "dev", "cable"], &["link", "set", "cable", "up"]] {
        assert!(project.engine.in_network("ip").args(words).status().unwrap().success(), "{words:?}");
    }
    stranger.configure("cable", &["198.18.9.2/24"]);
    let curl = [
        "curl",
        "--silent",
        "--max-time",
        "30",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %header{proxy-status}",
    ];
    let said = stranger.must(&[&curl[..], &["--proxy", "http://198.18.9.1:8000", "http://demo.hezar/"]].concat());
    assert!(said.starts_with("403 ") && said.contains("client-denied"), "{said}");
    project.serves("http://127.0.0.1:8000", 5);
}

/// SIGTERM ends each container in its time, and Hezar with success, also while a tunnel is open.
fn ends_in_time(project: &Project<'_>) {
    let tunnel = [
        "-c",
        "exec 3<>/dev/tcp/127.0.0.1/8000; printf 'CONNECT demo.hezar:80 HTTP/1.1\\r\\nHost: demo.hezar:80\\r\\n\\r\\n' >&3; head -c 12 <&3; cat <&3",
    ];
    let mut tunnel =
        project.engine.in_network("bash").args(tunnel).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(tunnel.stdout.as_mut().unwrap(), &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let begin = Instant::now();
    project.compose(&["stop"]);
    let took = begin.elapsed();
    let _ = tunnel.kill();
    let _ = tunnel.wait();
    assert!(took < GRACE * 2, "compose stop took {took:?}");
    for service in SERVICES {
        let code = project.engine.must(&["inspect", "--format", "{{.State.ExitCode}}", &format!("hz_{service}_1")]);
        // 137: killed after the grace time.
        assert_eq!(code, "0", "{service}: {}", project.diagnosis(&format!("hz_{service}_1")));
    }
    println!("containers: SIGTERM ended all of them in {took:?}");
}
