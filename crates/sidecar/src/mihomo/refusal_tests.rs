//! Nodes that a core refuses are found and set aside, whether its message names them or not.
#![cfg(unix)]

use std::{net::SocketAddr, path::Path, sync::Arc};

use hezar_child::Launcher;
use hezar_core::{NodeSpec, Outbound, ShadowsocksR, Target};
use hezar_engine::{AddressPolicy, Cause, Engine, NativeEngine, NativeEngineConfig};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, UnixListener, UnixStream},
    sync::RwLock,
};

use super::{driver::Driver, setup::MihomoSetup};
use crate::{
    Controller, ControllerAddress,
    current::{Core, CoreStart},
    slots::{CoreNode, SlotLease, SlotTable},
    testing::request,
};

/// The configuration in a request.
async fn configuration(stream: &mut BufReader<UnixStream>) -> Value {
    let (_, body) = request(stream).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    serde_json::from_str(body["payload"].as_str().unwrap()).unwrap()
}

/// A core that refuses every configuration with a node whose password begins with `bad`; `names` = its message says which one.
fn refusing_core(folder: &Path, names: bool) -> Controller {
    let path = folder.join("ctl.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let configuration = configuration(&mut stream).await;
            let nodes = configuration["proxies"].as_array().unwrap();
            let is_bad = |node: &Value| node["password"].as_str().is_some_and(|password| password.starts_with("bad"));
            let bad = nodes.iter().position(is_bad);
            let message = if names { format!("proxy {}: no", bad.unwrap_or_default()) } else { "no".to_owned() };
            let body = format!("{{\"message\":\"{message}\"}}");
            let answer = match bad {
                Some(_) => format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                None => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    Controller::new(ControllerAddress::Unix(path))
}

fn core(folder: &Path, listen: SocketAddr) -> Core {
    let slots = SlotTable::new(64, 64);
    slots.set_up(1, std::process::id(), vec![listen]);
    let start = CoreStart {
        program: "mihomo".into(),
        modified: None,
        launcher: Launcher::new("launcher".into(), []),
        folder: folder.to_owned(),
        memory_bytes: 0,
        most_slots: 64,
        counters: Arc::default(),
        known: Mutex::default(),
    };
    let base: Arc<dyn Engine> = Arc::new(NativeEngine::new(&NativeEngineConfig::default()));
    Core { slots, gate: RwLock::default(), base, start }
}

fn lease(core: &Core, number: u16, password: &str) -> SlotLease {
    let ssr = ShadowsocksR {
        method: "aes-256-cfb".into(),
        password: password.into(),
        protocol: "auth_aes128_md5".into(),
        protocol_param: "".into(),
        obfs: "plain".into(),
        obfs_param: "".into(),
    };
    let server = Target::parse(&format!("192.0.2.1:{number}")).unwrap();
    let node = NodeSpec::new(server, Outbound::ShadowsocksR(Box::new(ssr)));
    core.slots.lease(&CoreNode::new(node, AddressPolicy::Any), &["192.0.2.1".parse().unwrap()].into()).unwrap()
}

/// Which of ten nodes are refused, of which three are bad, and how many are known to the core.
async fn refused(names: bool) {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = listener.local_addr().unwrap();
    let core = core(folder.path(), listen);
    let leases: Vec<SlotLease> =
        (1..=10).map(|number| lease(&core, number, if number % 4 == 2 { "bad" } else { "good" })).collect();
    let setup = MihomoSetup::new("mihomo".into(), Arc::clone(&core.slots));
    let mut driver = Driver::new(&core, &setup, refusing_core(folder.path(), names));
    driver.listeners = vec![listen];
    // What is left out of one configuration comes with a later one.
    for _ in 0..10 {
        driver.tell().await.unwrap();
    }
    for (lease, number) in leases.iter().zip(1..) {
        match lease.ready().await {
            Ok(_) => assert_ne!(number % 4, 2, "node {number} is taken"),
            Err(Cause::CoreRefused(_)) => assert_eq!(number % 4, 2, "node {number} is refused"),
            Err(other) => panic!("node {number}: {other}"),
        }
    }
    assert_eq!(core.slots.refused().len(), 3);
}

#[tokio::test]
async fn the_message_names_the_node() {
    refused(true).await;
}

#[tokio::test]
async fn the_message_names_none_and_the_nodes_are_found_by_halves() {
    refused(false).await;
}
