//! Clients of ports with TLS: curl, Python, Chromium; names, plain clients, and files that are replaced.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use hezar_interop::harness::{eventually, free_addresses, programs};

use super::world::{Authority, Curl, PAGE, TlsWorld, api_config};

/// The users' side of the tests: `alice` may use the port.
const USERS: &str = "users = [{ name = \"alice\", password = \"open sesame\" }]";

#[test]
fn real_clients_speak_through_a_port_with_tls() {
    let Some((program, [curl, python, chromium])) = programs("tls", ["curl", "python-clients", "chromium"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.issue("port", &["proxy.test", "127.0.0.1"]);
    let [proxy, api] = free_addresses(2)[..] else { panic!() };
    let tls = "tls = { cert = \"port.pem\", key = \"port.key\" }";
    let config = format!("[proxy]\nlisten = \"{proxy}\"\n{tls}\n{}{tls}\n", api_config(api));
    let world = TlsWorld::start(&program, folder, api, &config);
    world.wait_for_nodes();
    let root = world.folder.join("root.pem");
    let root = root.to_str().unwrap();

    // curl: plain requests, and tunnels.
    let port = format!("https://127.0.0.1:{}", proxy.port());
    for more in [&[][..], &["--proxytunnel"]] {
        let run = Curl::run(&curl, &[&["--proxy", &port, "--proxy-cacert", root, PAGE][..], more].concat());
        assert!(run.served(), "{more:?}: {}", run.text);
    }
    // The certificate is served whatever name is asked for; the client decides what it thinks of it.
    let resolve = format!("other.test:{}:127.0.0.1", proxy.port());
    let other = format!("https://other.test:{}", proxy.port());
    let strange = ["--resolve", &resolve, "--proxy", &other, "--proxy-cacert", root, PAGE];
    assert_eq!(Curl::run(&curl, &strange).code, Some(60), "the name does not fit");
    assert!(Curl::run(&curl, &[&strange[..], &["--proxy-insecure"]].concat()).served());
    // Who speaks plainly is told so, and counted.
    let plain = format!("http://127.0.0.1:{}", proxy.port());
    let told = Curl::run(&curl, &["--proxy", &plain, PAGE]);
    assert!(told.text.contains(" 400 ") && told.text.contains("code: plain-on-tls-port"), "{}", told.text);
    let socks = Curl::run(&curl, &["--proxy", &plain.replace("http", "socks5h"), PAGE]);
    assert_eq!(socks.code, Some(97), "{}", socks.text);
    assert!(world.metrics().contains("code=\"plain-on-tls-port\""));

    python_speaks(&python, proxy.port(), root);
    chromium_speaks(&chromium, &world, proxy.port());
    // The API has TLS for others, and speaks plainly to programs on this machine.
    let secured = Curl::run(&curl, &["--cacert", root, &format!("https://{api}/healthz")]);
    assert!(secured.text.contains(" 200 "), "{}", secured.text);
    assert_eq!(world.certificate("api")["names"], world.certificate("proxy")["names"]);
    assert!(world.metrics().contains("hezar_certificate_expiry_timestamp_seconds{name=\"proxy\"} "));
}

/// requests, aiohttp and httpx through an HTTPS proxy, and SOCKS5 inside TLS.
fn python_speaks(scrapy: &Path, port: u16, root: &str) {
    let script = format!(
        r#"
import asyncio, socket, ssl, aiohttp, httpx, requests
proxy, page = "https://127.0.0.1:{port}", "{PAGE}"
session = requests.Session()
session.verify, session.trust_env = "{root}", False
assert session.get(page, proxies={{"http": proxy}}, timeout=20).status_code == 204
trust = ssl.create_default_context(cafile="{root}")
with httpx.Client(proxy=httpx.Proxy(proxy, ssl_context=trust), trust_env=False) as client:
    assert client.get(page, timeout=20).status_code == 204
async def aio():
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as client:
        async with client.get(page, proxy=proxy) as answer:
            assert answer.status == 204
asyncio.run(aio())
trust.set_alpn_protocols(["h2", "http/1.1"])
with socket.create_connection(("127.0.0.1", {port}), 20) as bare:
    with trust.wrap_socket(bare, server_hostname="127.0.0.1") as stream:
        assert stream.selected_alpn_protocol() == "http/1.1"
        stream.sendall(b"\x05\x01\x00")
        assert stream.recv(2) == b"\x05\x00"
        name = b"demo.hezar"
        stream.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + b"\x00\x50")
        assert stream.recv(10)[:2] == b"\x05\x00"
        stream.sendall(b"GET /generate_204 HTTP/1.0\r\nHost: demo.hezar\r\n\r\n")
        assert b" 204 " in stream.recv(100)
print("served")
"#
    );
    // The clients lie beside the program of their folder.
    let packages = scrapy.parent().unwrap().join("lib");
    let run = bounded("python3").arg("-c").arg(script).env("PYTHONPATH", packages).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("served"), "{said}");
}

/// A program that is ended after 90 seconds.
fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["90", program]);
    command
}

fn chromium_speaks(chromium: &Path, world: &TlsWorld, port: u16) {
    let profile = world.folder.join("chromium");
    let run = bounded(chromium.to_str().unwrap())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        // The root of the test is in no store of the system.
        .arg("--ignore-certificate-errors")
        .arg(format!("--proxy-server=https://127.0.0.1:{port}"))
        .args(["--dump-dom", "http://demo.hezar/"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&run.stdout);
    assert!(page.contains("node"), "{page} {}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn files_are_replaced_while_tunnels_are_open() {
    let Some((program, [curl])) = programs("tls", ["curl"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.issue("port", &["127.0.0.1"]);
    let [proxy, api] = free_addresses(2)[..] else { panic!() };
    let config = format!(
        "[proxy]\nlisten = \"{proxy}\"\n{USERS}\ntls = {{ cert = \"port.pem\", key = \"port.key\" }}\n{}",
        api_config(api)
    );
    let world = TlsWorld::start(&program, folder, api, &config);
    world.wait_for_nodes();
    let root = authority.root();
    let root = root.to_str().unwrap();
    let port = format!("https://alice:open%20sesame@127.0.0.1:{}", proxy.port());
    let ask = || Curl::run(&curl, &["--proxy", &port, "--proxy-cacert", root, PAGE]);
    assert!(ask().served());
    let mut tunnel = OpenTunnel::begin(proxy.port(), root);
    assert!(tunnel.exchange());
    let fingerprint = || world.certificate("proxy")["fingerprint"].as_str().unwrap_or_default().to_owned();
    let first = fingerprint();
    authority.issue("port", &["127.0.0.1"]);
    eventually("the new certificate is used", || (fingerprint() != first).then_some(()));
    assert!(ask().served());
    // A broken file changes nothing and is told.
    let (good, second) = (fs::read(world.folder.join("port.key")).unwrap(), fingerprint());
    fs::write(world.folder.join("port.key"), "broken").unwrap();
    let told =
        eventually("the broken file is told", || world.certificate("proxy")["error"].as_str().map(str::to_owned));
    assert!(told.contains("port.key") && told.contains("no private key"), "{told}");
    assert!(ask().served() && fingerprint() == second);
    assert!(world.metrics().contains("hezar_certificate_failing{name=\"proxy\"} 1"));
    fs::write(world.folder.join("port.key"), good).unwrap();
    eventually("all is well again", || world.certificate("proxy")["error"].is_null().then_some(()));
    assert!(tunnel.exchange(), "what was open goes on");
}

/// A tunnel of alice through the port, which stays open; Python holds it.
struct OpenTunnel {
    python: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl OpenTunnel {
    fn begin(port: u16, root: &str) -> Self {
        let script = format!(
            r#"
import base64, socket, ssl, sys
trust = ssl.create_default_context(cafile="{root}")
stream = trust.wrap_socket(socket.create_connection(("127.0.0.1", {port}), 20), server_hostname="127.0.0.1")
login = base64.b64encode(b"alice:open sesame").decode()
stream.sendall(f"CONNECT demo.hezar:80 HTTP/1.1\r\nHost: demo.hezar:80\r\nProxy-Authorization: Basic {{login}}\r\n\r\n".encode())
assert b" 200 " in stream.recv(4096)
for line in sys.stdin:
    stream.sendall(b"GET /generate_204 HTTP/1.1\r\nHost: demo.hezar\r\n\r\n")
    print(b" 204 " in stream.recv(4096), flush=True)
"#
        );
        let mut python =
            Command::new("python3").arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(python.stdout.take().unwrap());
        Self { python, answers }
    }

    /// Whether a request through the tunnel is answered.
    fn exchange(&mut self) -> bool {
        self.python.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim() == "True"
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}
