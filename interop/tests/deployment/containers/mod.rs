//! deploy/Dockerfile and deploy/compose.yaml on a real engine: images from Debian packages and the program that was just built.
//!
//! Grafana is no Debian package: its service is left out here, and its files are checked beside Prometheus (`watch`).

mod engine;
mod images;
mod project;
mod scale;

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use hezar_interop::harness::{eventually, programs};

use crate::netns::Host;
use engine::Engine;
use images::{IMAGE, make_images, the_whole_workspace_reaches_the_builder};
use project::{Project, project};

/// How long a container may take to end after SIGTERM, by compose.yaml.
const GRACE: Duration = Duration::from_secs(30);
const SERVICES: [&str; 5] = ["upstream", "hezar", "prometheus", "alertmanager", "nginx"];

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

/// The image alone, without users and without a word about who needs none, serves nobody.
fn refuses_to_be_open_to_all(engine: &Engine) {
    let refused = engine.run(&["run", "--rm", IMAGE]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("0.0.0.0:8000 can be reached from other machines") && said.contains("open_to"), "{said}");
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
    let mut tunnel = project.engine.in_network("bash").args(tunnel).stdout(Stdio::piped()).spawn().unwrap();
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
