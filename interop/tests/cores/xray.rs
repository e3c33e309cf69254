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
use hezar_core::Target;
use hezar_engine::{AddressPolicy, Attempt, BoxStream, Dialer, Engine as _, NativeEngine, NativeEngineConfig};
use hezar_formats::{parse_link, write::xray_outbound};
use hezar_interop::harness::{Running, free_addresses, programs};
use hezar_sidecar::{CoreHome, CoreState, CoreSupervisor, XraySetup};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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

/// The dialer of a slot.
fn slot(listen: SocketAddr, id: Uuid) -> Arc<dyn Dialer> {
    let (spec, _) = parse_link(&format!("vless://{id}@{listen}?encryption=none")).unwrap();
    NativeEngine::new(&NativeEngineConfig::default()).dialer(&spec, AddressPolicy::Any).unwrap()
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

/// Opens a stream until one brings something back.
async fn opens(dialer: &Arc<dyn Dialer>, target: SocketAddr) -> BoxStream {
    loop {
        let mut stream = open(dialer, target).await;
        if say(&mut stream, b"hello").await.is_some() {
            return stream;
        }
    }
}

async fn up(supervisor: &CoreSupervisor<XraySetup>, wanted: u64) -> u32 {
    let mut state = supervisor.state();
    let up = state.wait_for(|state| matches!(state, CoreState::Up { start, .. } if *start == wanted));
    let CoreState::Up { pid, .. } = *timeout(PATIENCE, up).await.unwrap().unwrap() else { panic!("it is not up") };
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn outbounds_of_xray_come_and_go_and_cut_nothing() {
    let Some((hezar, [xray])) = programs("xray", ["xray"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_server, server) = server(&xray, folder.path());
    let (target, count) = echo().await;
    let slots: Arc<[(Box<str>, Uuid)]> = (1..=3).map(|n| (format!("s{n}").into(), Uuid::new_v4())).collect();
    let launcher = Launcher::new(hezar, ["launch-child".into()]);
    let home = Arc::new(CoreHome::create(&folder.path().join("cores"), "xray").unwrap());
    let setup = Arc::new(XraySetup::new(xray, launcher.clone(), Arc::clone(&slots)));
    let supervisor = Arc::new(CoreSupervisor::new(Arc::clone(&setup), launcher, Arc::clone(&home), 1 << 30));
    let (running, stop) = (Arc::clone(&supervisor), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let pid = up(&supervisor, 1).await;
    let api = setup.api(&home);
    let dialer = |number: usize| slot(setup.listen().unwrap(), slots[number].1);

    // A slot without a node leads nowhere, and nobody else's id leads anywhere.
    assert_eq!(say(&mut open(&dialer(0), target).await, b"hello").await, None);
    let stranger = slot(setup.listen().unwrap(), Uuid::new_v4());
    assert_eq!(say(&mut open(&stranger, target).await, b"hello").await, None);
    assert_eq!(count.load(Ordering::Relaxed), 0, "something went out directly");

    let link = format!("vless://{ID}@{server}?encryption=none&type=kcp&headerType=srtp&seed=seed");
    let (node, _) = parse_link(&link).unwrap();
    let outbound = |tag: &str| (tag.to_owned(), xray_outbound(&node, tag, setup.dialect()).unwrap());
    // Not one that the writer of outbounds writes.
    let bad = ("s2".to_owned(), r#"{"tag":"s2","protocol":"vless","settings":{"vnext":[]}}"#.to_owned());
    let added = api.add(&[outbound("s1"), bad, outbound("s3")]).await.unwrap();
    assert_eq!(added.refused.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["s2"], "{added:?}");
    let mut streams = [opens(&dialer(0), target).await, opens(&dialer(2), target).await];
    api.remove(&["s1", "s2", "nobody's"]).await.unwrap();
    assert_eq!(say(&mut open(&dialer(0), target).await, b"hello").await, None, "it was taken out");
    for stream in &mut streams {
        say(stream, b"still here").await.expect("a running stream was cut");
    }
    // Another node in the same slot, where the outbound has to be taken out first.
    assert_eq!(api.add(&[outbound("s3")]).await.unwrap().refused.len(), 1, "the tag is taken");
    assert_eq!(api.add(&[outbound("s2"), outbound("s1")]).await.unwrap().refused, []);
    opens(&dialer(1), target).await;
    for stream in &mut streams {
        say(stream, b"and still").await.expect("a running stream was cut");
    }

    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    up(&supervisor, 2).await;
    assert_eq!(say(&mut open(&dialer(0), target).await, b"hello").await, None, "a new start has no outbounds");
    assert_eq!(api.add(&[outbound("s1")]).await.unwrap().refused, []);
    opens(&dialer(0), target).await;
    stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert!(api.remove(&["s1"]).await.is_err(), "it has ended");
}
