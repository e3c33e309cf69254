//! The files of deploy/nginx, with other ports and certificates, in a real nginx in front of Hezar.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_interop::harness::{Running, eventually, free_addresses, programs};

use super::world::{Authority, Curl, PAGE, TlsWorld, api_config};

/// nginx with one of the files.
struct Nginx {
    _running: Running,
}

impl Nginx {
    /// Starts nginx with a file of deploy/nginx in which texts are exchanged; it stands in `http { }` or beside it.
    fn start(
        nginx: &Path,
        folder: &Path,
        file: &str,
        in_http: bool,
        exchanged: &[(&str, String)],
        first: SocketAddr,
    ) -> Self {
        let own = folder.join(format!("nginx-{file}"));
        fs::create_dir_all(&own).unwrap();
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx").join(file);
        let mut text: String = fs::read_to_string(source).unwrap();
        // A port that is free on 127.0.0.1 may be taken on [::1].
        text = text.lines().filter(|line| !line.contains("listen [::]:")).map(|line| format!("{line}\n")).collect();
        for (before, after) in exchanged {
            assert!(text.contains(before), "{file} has no {before}");
            text = text.replace(before, after);
        }
        let text = if in_http { format!("http {{\naccess_log off;\n{text}\n}}\n") } else { text };
        let stream = "/usr/lib/nginx/modules/ngx_stream_module.so";
        let module = if Path::new(stream).exists() { format!("load_module {stream};\n") } else { String::new() };
        let main = format!(
            "{module}daemon off;\nuser root;\nworker_processes 1;\npid {0}/nginx.pid;\nerror_log {0}/error.log;\nevents {{}}\n{text}",
            own.display()
        );
        let config = own.join("nginx.conf");
        fs::write(&config, main).unwrap();
        let mut running = Running::start(nginx, &["-p", own.to_str().unwrap(), "-c", config.to_str().unwrap()], &own);
        running.accepts(first);
        Self { _running: running }
    }
}

/// What curl is told so that it comes from another address of this machine than nginx.
const FROM: [&str; 2] = ["--interface", "127.0.0.9"];

#[test]
fn tls_ends_in_nginx_and_the_client_keeps_its_address() {
    let Some((program, [curl, nginx])) = programs("tls", ["curl", "nginx"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.issue("port", &["proxy.example.org"]);
    let [proxy, api, front] = free_addresses(3)[..] else { panic!() };
    let config = format!(
        "[proxy]\nlisten = \"{proxy}\"\nproxy_protocol = [\"127.0.0.1\"]\n\
         users = [{{ name = \"alice\", password = \"open sesame\" }}]\n{}",
        api_config(api)
    );
    let world = TlsWorld::start(&program, folder, api, &config);
    world.wait_for_nodes();
    let port = |name: &str| world.folder.join(name).display().to_string();
    let exchanged = [
        ("server 127.0.0.1:8000;", format!("server {proxy};")),
        ("listen 443 ssl;", format!("listen {front} ssl;")),
        ("/etc/letsencrypt/live/proxy.example.org/fullchain.pem", port("port.pem")),
        ("/etc/letsencrypt/live/proxy.example.org/privkey.pem", port("port.key")),
    ];
    let _nginx = Nginx::start(&nginx, &world.folder, "stream.conf", false, &exchanged, front);
    let root = authority.root();
    let resolve = format!("proxy.example.org:{}:127.0.0.1", front.port());
    let ask = |password: &str, more: &[&str]| {
        let address = format!("https://alice:{password}@proxy.example.org:{}", front.port());
        let usual = ["--resolve", &resolve, "--proxy", &address, "--proxy-cacert", root.to_str().unwrap(), PAGE];
        Curl::run(&curl, &[&usual[..], more].concat())
    };
    let run = ask("open%20sesame", &FROM);
    assert!(run.served(), "{}", run.text);
    let run = ask("open%20sesame", &["--proxytunnel"]);
    assert!(run.served(), "{}", run.text);
    // The address that limits, bans and logs go by is the client's, not that of nginx.
    assert!(ask("wrong", &FROM).text.contains(" 407 "));
    eventually("the log names the client", || {
        world.log().lines().any(|line| line.contains("login failed") && line.contains("127.0.0.9")).then_some(())
    });
    // From the address of the proxy a connection without the header is refused; a header from elsewhere too.
    let bare = format!("http://alice:open%20sesame@127.0.0.1:{}", proxy.port());
    let run = Curl::run(&curl, &["--proxy", &bare, PAGE]);
    assert!(!run.served(), "{}", run.text);
    let run = Curl::run(&curl, &[&["--proxy", &bare, "--haproxy-protocol", PAGE][..], &FROM].concat());
    assert!(run.text.contains("untrusted-proxy"), "{}", run.text);
    assert!(world.metrics().contains("code=\"proxy-header\""));
}

#[test]
fn a_web_site_and_hezar_share_a_port() {
    let Some((program, [curl, nginx])) = programs("tls", ["curl", "nginx"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.issue("port", &["proxy.example.org"]);
    authority.issue("site", &["www.example.org"]);
    let [proxy, api, front, site] = free_addresses(4)[..] else { panic!() };
    let config = format!(
        "[proxy]\nlisten = \"{proxy}\"\nproxy_protocol = [\"127.0.0.1\"]\n\
         tls = {{ cert = \"port.pem\", key = \"port.key\" }}\n{}",
        api_config(api)
    );
    let world = TlsWorld::start(&program, folder, api, &config);
    world.wait_for_nodes();
    let exchanged = [
        ("server 127.0.0.1:8443;", format!("server {proxy};")),
        ("server 127.0.0.1:4443;", format!("server {site};")),
        ("listen 443;", format!("listen {front};")),
    ];
    let _nginx = Nginx::start(&nginx, &world.folder, "sni.conf", false, &exchanged, front);
    let text = format!(
        "server {{ listen {site} ssl proxy_protocol; ssl_certificate {0}/site.pem; ssl_certificate_key {0}/site.key; \
         location / {{ return 200 \"the web site\"; }} }}\n",
        world.folder.display()
    );
    let page = world.folder.join("site.conf");
    fs::write(&page, format!("daemon off;\nuser root;\npid {0}/site.pid;\nerror_log {0}/site.log;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n", world.folder.display())).unwrap();
    let own = world.folder.join("site");
    fs::create_dir_all(&own).unwrap();
    let mut web = Running::start(&nginx, &["-p", own.to_str().unwrap(), "-c", page.to_str().unwrap()], &own);
    web.accepts(site);
    let root = authority.root();
    let root = root.to_str().unwrap();
    let resolve = |name: &str| format!("{name}:{}:127.0.0.1", front.port());
    let to_site = Curl::run(
        &curl,
        &[
            "--resolve",
            &resolve("www.example.org"),
            "--cacert",
            root,
            &format!("https://www.example.org:{}/", front.port()),
        ],
    );
    assert!(to_site.text.contains("the web site"), "{}", to_site.text);
    let address = format!("https://proxy.example.org:{}", front.port());
    let to_hezar = Curl::run(
        &curl,
        &["--resolve", &resolve("proxy.example.org"), "--proxy", &address, "--proxy-cacert", root, PAGE],
    );
    assert!(to_hezar.served(), "{}", to_hezar.text);
}

#[test]
fn the_page_stands_behind_a_name_of_its_own() {
    let Some((program, [curl, nginx])) = programs("tls", ["curl", "nginx"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.issue("page", &["hezar.example.org"]);
    let [proxy, api, front] = free_addresses(3)[..] else { panic!() };
    let config = format!(
        "[proxy]\nlisten = \"{proxy}\"\n{}hosts = [\"hezar.example.org\"]\ntrusted_proxies = [\"127.0.0.1\"]\n",
        api_config(api)
    );
    let world = TlsWorld::start(&program, folder, api, &config);
    let port = |name: &str| world.folder.join(name).display().to_string();
    let exchanged = [
        ("http://127.0.0.1:9090", format!("http://{api}")),
        ("listen 443 ssl;", format!("listen {front} ssl;")),
        ("/etc/letsencrypt/live/hezar.example.org/fullchain.pem", port("page.pem")),
        ("/etc/letsencrypt/live/hezar.example.org/privkey.pem", port("page.key")),
    ];
    let _nginx = Nginx::start(&nginx, &world.folder, "page.conf", true, &exchanged, front);
    let (root, resolve) = (authority.root(), format!("hezar.example.org:{}:127.0.0.1", front.port()));
    let ask = |path: &str, more: &[&str]| {
        let url = format!("https://hezar.example.org:{}{path}", front.port());
        Curl::run(&curl, &[&["--resolve", &resolve, "--cacert", root.to_str().unwrap(), &url][..], more].concat())
    };
    assert!(ask("/healthz", &[]).text.contains(" 200 "));
    let token = ["--header", "Authorization: Bearer token-for-the-api"];
    let status = ask("/api/v1/status", &token);
    assert!(status.text.contains(" 200 ") && status.text.contains("\"version\""), "{}", status.text);
    // Events come one by one: the first one is there before the connection ends.
    let events = ask("/api/v1/events", &[&token[..], &["--max-time", "3", "--no-buffer"]].concat());
    assert!(events.text.contains("text/event-stream") && events.text.contains("event:"), "{}", events.text);
}
