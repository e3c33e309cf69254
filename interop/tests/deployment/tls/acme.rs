//! Certificates from Pebble, the ACME server of Let's Encrypt's own tests: the first one, renewal, a server that is away, a restart.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use hezar_interop::harness::{Running, eventually, free_addresses, programs};
use serde_json::json;

use super::world::{Authority, Curl, PAGE, TlsWorld, api_config};

/// How long the certificates of the server are good, in seconds: they are renewed after 40.
const VALID: u64 = 60;

/// A name server over TCP that leads every name to 127.0.0.1.
struct Names {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Names {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever leaves in the middle has asked for nothing.
                std::thread::spawn(move || client.and_then(answer_all));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Answers the questions of one connection, each with its length in front (RFC 1035, section 4.2.2).
fn answer_all(mut client: TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    loop {
        let mut length = [0; 2];
        client.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        client.read_exact(&mut question)?;
        let Some(answer) = answer(&question) else { return Ok(()) };
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        client.write_all(&[&length, &answer[..]].concat())?;
    }
}

/// The answer to a question (RFC 1035, section 4): 127.0.0.1 for A, nothing for other types.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let name_end = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let asked = question.get(12..name_end + 4)?;
    let is_a = asked.ends_with(&[0, 1, 0, 1]);
    // The same id; a recursive answer without an error; one question and as many answers as there are.
    let mut answer = [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0], asked].concat();
    if is_a {
        // The name again, A, IN, 60 s, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

/// Where Pebble and its parts are.
struct Pebble {
    program: PathBuf,
    folder: PathBuf,
    directory: SocketAddr,
    management: SocketAddr,
    names: Names,
    running: Option<Running>,
}

impl Pebble {
    /// Writes the configuration of a server that checks challenges at these ports, without starting it.
    fn prepare(program: &Path, authority: &Authority, folder: &Path, http: u16, tls: u16) -> Self {
        let [directory, management] = free_addresses(2)[..] else { panic!() };
        authority.issue("pebble", &["127.0.0.1"]);
        let config = json!({ "pebble": {
            "listenAddress": directory.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.join("pebble.pem"),
            "privateKey": folder.join("pebble.key"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": { "description": "short", "validityPeriod": VALID } },
        }});
        let own = folder.join("pebble");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("pebble.json"), config.to_string()).unwrap();
        Self { program: program.to_owned(), folder: own, directory, management, names: Names::start(), running: None }
    }

    fn start(&mut self) {
        let names = self.names.address.to_string();
        let program = self.program.to_str().unwrap();
        // It neither sleeps before it checks, nor takes up again what it has checked already.
        let words =
            ["PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", program, "-config", "pebble.json", "-dnsserver", &names];
        let mut running = Running::start(Path::new("/usr/bin/env"), &words, &self.folder);
        running.accepts(self.directory);
        self.running = Some(running);
    }

    fn stop(&mut self) {
        drop(self.running.take());
    }

    /// Writes the root of its certificates into a file.
    fn root(&self, curl: &Path) -> PathBuf {
        let file = self.folder.join("root.pem");
        let url = format!("https://{}/roots/0", self.management);
        let text = Curl::run(curl, &["--insecure", &url]).text;
        fs::write(&file, &text[text.find("-----BEGIN").unwrap()..]).unwrap();
        file
    }

    fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

#[test]
fn certificates_come_from_an_acme_server_and_outlive_it() {
    let Some((program, [curl, pebble])) = programs("tls", ["curl", "pebble"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let [proxy, plain, http, api, challenge] = free_addresses(5)[..] else { panic!() };
    let mut pebble = Pebble::prepare(&pebble, &authority, folder.path(), challenge.port(), proxy.port());
    let server = format!("acme_directory = \"https://{}/dir\", acme_ca = \"root.pem\"", pebble.directory);
    let config = format!(
        "data = \"data\"\n[proxy]\nlisten = \"{proxy}\"\n\
         tls = {{ acme = [\"proxy.test.example\", \"also.test.example\"], acme_email = \"admin@test.example\", {server} }}\n\
         [[listener]]\nname = \"plain\"\nlisten = \"{plain}\"\n\
         [[listener]]\nname = \"http\"\nlisten = \"{http}\"\n\
         tls = {{ acme = \"http.test.example\", acme_http = \"{challenge}\", {server} }}\n{}",
        api_config(api)
    );
    let mut world = TlsWorld::start(&program, folder, api, &config);
    world.wait_for_nodes();
    // While the server is away, the port says so and the plain one serves.
    let told = eventually("the failure is told", || {
        let error = world.certificate("proxy")["error"].as_str().unwrap_or_default().to_owned();
        error.contains("gave no certificate").then_some(error)
    });
    assert!(told.contains(&pebble.directory.to_string()), "{told}");
    assert!(world.certificate("proxy")["not_after"].is_null());
    let plain_port = format!("http://{plain}");
    assert!(Curl::run(&curl, &["--proxy", &plain_port, PAGE]).served());
    let refused = Curl::run(&curl, &["--proxy", &format!("https://{proxy}"), "--proxy-insecure", PAGE]);
    assert!(!refused.served() && world.log().contains("no-certificate"), "{}", refused.text);
    assert!(world.metrics().contains("hezar_certificate_failing{name=\"proxy\"} 1"));

    pebble.start();
    let fingerprint = |world: &TlsWorld, port: &str| world.certificate(port)["fingerprint"].as_str().map(str::to_owned);
    let first = eventually("the first certificate", || fingerprint(&world, "proxy"));
    eventually("the certificate by HTTP-01", || fingerprint(&world, "http"));
    let root = pebble.root(&curl);
    let ask = |name: &str, port: SocketAddr| {
        let (resolve, address) =
            (format!("{name}:{}:127.0.0.1", port.port()), format!("https://{name}:{}", port.port()));
        Curl::run(&curl, &["--resolve", &resolve, "--proxy", &address, "--proxy-cacert", root.to_str().unwrap(), PAGE])
    };
    for (name, port) in [("proxy.test.example", proxy), ("also.test.example", proxy), ("http.test.example", http)] {
        let run = ask(name, port);
        assert!(run.served(), "{name}: {}", run.text);
    }
    assert_eq!(ask("other.test.example", proxy).code, Some(60), "a name that the certificate is not for");
    assert!(TcpStream::connect(challenge).is_err(), "nobody listens for challenges after the order");

    // It is renewed before it ends, and kept where nobody else reads it.
    let second = eventually("the renewal", || fingerprint(&world, "proxy").filter(|now| *now != first));
    assert!(ask("proxy.test.example", proxy).served());
    let kept: Vec<_> =
        fs::read_dir(world.folder.join("data/acme")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 3, "an account and two certificates: {kept:?}");
    assert!(kept.iter().all(|file| fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600));

    // After a restart without the server the kept one serves.
    pebble.stop();
    world.start_hezar();
    assert_eq!(fingerprint(&world, "proxy"), Some(second));
    world.wait_for_nodes();
    let run = ask("proxy.test.example", proxy);
    assert!(run.served(), "{}", run.text);
}
