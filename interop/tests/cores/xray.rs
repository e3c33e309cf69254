//! A real Xray as a core: outbounds come and go while it runs, and cut nothing.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hezar_child::Launcher;
use hezar_core::{NodeSpec, Target};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, Dialer, Engine, EngineList, NativeEngine, NativeEngineConfig};
use hezar_formats::parse_link;
use hezar_interop::harness::{Running, free_addresses, process_with, programs};
use hezar_sidecar::{CoreChoice, CoreName, CoreStatus, Sidecar, SidecarSettings};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
const ID: &str = "7d4f4b57-6d0a-4e0f-9a43-1f0d4cf0a5b1";

/// A target that sends everything back, and counts who comes.
async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, count) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicUsize::new(0)));
    let (address, counted) = (listener.local_addr().unwrap(), Arc::clone(&count));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    (address, count)
}

/// A server of VLESS over mKCP: the same program with another configuration.
fn server(xray: &Path, folder: &Path) -> (Running, SocketAddr) {
    let address = free_addresses(1).remove(0);
    let masks = r#"{"udp": [{"type": "header-srtp"}, {"type": "mkcp-aes128gcm", "settings": {"password": "seed"}}]}"#;
    let config = format!(
        r#"{{"inbounds": [{{"listen": "127.0.0.1", "port": {}, "protocol": "vless",
            "settings": {{"clients": [{{"id": "{ID}"}}], "decryption": "none"}},
            "streamSettings": {{"network": "kcp", "finalmask": {masks}}}}}], "outbounds": [{{"protocol": "freedom"}}]}}"#,
        address.port()
    );
    let file = folder.join("server.json");
    std::fs::write(&file, config).unwrap();
    (Running::start(xray, &["run", "-config", file.to_str().unwrap()], folder), address)
}

/// Sends a word and waits for it to come back; `None` when the stream ends instead.
async fn say(stream: &mut BoxStream, word: &[u8]) -> Option<()> {
    let mut back = vec![0; word.len()];
    let said = async {
        stream.write_all(word).await?;
        stream.flush().await?;
        stream.read_exact(&mut back).await
    };
    timeout(PATIENCE, said).await.unwrap().ok()?;
    assert_eq!(back, word);
    Some(())
}

async fn open(dialer: &Arc<dyn Dialer>, target: SocketAddr) -> BoxStream {
    dialer.connect(&Target::parse(&target.to_string()).unwrap(), &Attempt::within(PATIENCE)).await.unwrap()
}

/// Opens a stream until one brings something back; while the core starts, none does.
async fn opens(dialer: &Arc<dyn Dialer>, target: SocketAddr) -> BoxStream {
    let target = Target::parse(&target.to_string()).unwrap();
    let opened = async {
        loop {
            let Ok(mut stream) = dialer.connect(&target, &Attempt::within(PATIENCE)).await else { continue };
            if say(&mut stream, b"hello").await.is_some() {
                return stream;
            }
        }
    };
    timeout(PATIENCE, opened).await.unwrap()
}

/// A node of the server; what follows makes it different from others.
fn node(server: SocketAddr, more: &str) -> NodeSpec {
    parse_link(&format!("vless://{ID}@{server}?type=kcp&headerType=srtp&seed=seed{more}")).unwrap().0
}

fn status(sidecar: &Sidecar) -> CoreStatus {
    let status = sidecar.status();
    assert_eq!(status.iter().map(|core| core.name).collect::<Vec<_>>(), [CoreName::Xray]);
    status.into_iter().next().unwrap()
}

/// The process of the Xray that this test has started.
fn pid_of(home: &Path) -> Pid {
    let name = home.to_str().unwrap();
    let pid = process_with(|line| line.contains(name) && line.contains("config.json")).unwrap();
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outbounds_of_xray_come_and_go_and_cut_nothing() {
    let Some((hezar, [xray])) = programs("xray", ["xray"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_server, server) = server(&xray, folder.path());
    let (target, count) = echo().await;
    let launcher = Launcher::new(hezar, ["launch-child".into()]);
    let native: Arc<dyn Engine> = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
    let cores = folder.path().join("cores");
    let sidecar = Arc::new(Sidecar::new(Arc::clone(&native), launcher, cores.clone()));
    // Fewer slots than nodes: they take turns.
    let settings = SidecarSettings {
        mihomo: CoreChoice::Off,
        xray: CoreChoice::Path(xray),
        max_nodes: 3,
        ..SidecarSettings::default()
    };
    assert!(sidecar.configure(&settings));
    let (running, stop) = (Arc::clone(&sidecar), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let engine = EngineList::new(native, sidecar.engines());
    let dialer = |more: &str| engine.dialer(&node(server, more), AddressPolicy::Any).unwrap();
    assert_eq!(engine.engine_of(&node(server, "")), Ok("xray"));

    let first = dialer("");
    let mut stream = opens(&first, target).await;
    for number in 0..10 {
        // Nothing answers there: what makes these nodes different is a name in TLS that the server does not speak.
        let other = dialer(&format!("&security=tls&sni=n{number}.example"));
        let mut silent = open(&other, target).await;
        assert!(timeout(Duration::from_millis(20), say(&mut silent, b"hello")).await.is_err());
        say(&mut stream, b"still here").await.expect("a running stream was cut");
    }
    // One that Xray refuses harms no other one, and is named.
    let refused = dialer("&encryption=mlkem768x25519plus.native.0rtt.AAAA");
    let attempt = Attempt::within(PATIENCE);
    let error = refused.connect(&Target::parse(&target.to_string()).unwrap(), &attempt).await.err().unwrap();
    assert_eq!(error.cause.code(), "core-refused", "{error}");
    assert_eq!(sidecar.refused().len(), 1, "{:?}", sidecar.refused());
    opens(&dialer("&encryption=none"), target).await;
    say(&mut stream, b"and still").await.expect("a running stream was cut");
    let reached = count.load(Ordering::Relaxed);

    assert!(status(&sidecar).is_up && status(&sidecar).version.is_some(), "{:?}", status(&sidecar));
    kill_process(pid_of(&cores), Signal::KILL).unwrap();
    assert!(say(&mut stream, b"the core is gone").await.is_none());
    opens(&first, target).await;
    assert_eq!((status(&sidecar).starts, count.load(Ordering::Relaxed)), (2, reached + 1));
    stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(std::fs::read_dir(&cores).unwrap().count(), 0, "nothing is left behind");
}
