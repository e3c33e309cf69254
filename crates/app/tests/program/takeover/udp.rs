//! Listeners over UDP pass to a new process: their clients come back to it at the same address.

use std::{net::SocketAddr, os::fd::OwnedFd, process::Command, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hezar_core::{Hysteria2, NodeSpec, Outbound, Secret, Shadowsocks, Target, Tls};
use hezar_engine::{AddressPolicy, Attempt, BoxDatagram, BoxStream, Dialer, Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{InboundHysteria2, InboundProtocol, InboundShadowsocks, UserKey, credential};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::Stage;
use crate::harness::{PATIENCE, eventually};

const KEY: [u8; 32] = [9; 32];
const SERVER_KEY: [u8; 16] = [1; 16];
const HOST: &str = "vps.example.org";

fn listeners(stage: &Stage) -> String {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    stage.home.write("server.pem", made.cert.pem());
    stage.home.write("server.key", made.signing_key.serialize_pem());
    format!(
        "[[listener]]\nname = \"hy2\"\nkind = \"hysteria2\"\nlisten = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"server.pem\", key = \"server.key\" }}\n\
         [[listener]]\nname = \"ss\"\nkind = \"shadowsocks\"\nlisten = \"127.0.0.1:0\"\n\
         shadowsocks = {{ key = \"{}\" }}\n",
        BASE64_STANDARD.encode(SERVER_KEY)
    )
}

fn dialer(server: SocketAddr, outbound: Outbound) -> Arc<dyn Dialer> {
    let spec = NodeSpec::new(Target::try_from(server).unwrap(), outbound);
    NativeEngine::new(&NativeEngineConfig::default()).dialer(&spec, AddressPolicy::Any).unwrap()
}

fn hysteria2(server: SocketAddr) -> Arc<dyn Dialer> {
    let own = credential(&InboundProtocol::Hysteria2(InboundHysteria2::default()), &UserKey::new(KEY), "");
    let tls = Tls { server_name: Some(HOST.into()), skip_verify: true, ..Tls::default() };
    let auth = Secret::new(std::str::from_utf8(own.expose()).unwrap());
    let (ports, hop_interval, obfs, up_mbps, down_mbps) = Default::default();
    dialer(
        server,
        Outbound::Hysteria2(Box::new(Hysteria2 { auth, ports, hop_interval, obfs, up_mbps, down_mbps, tls })),
    )
}

fn shadowsocks(server: SocketAddr) -> Arc<dyn Dialer> {
    let settings = InboundShadowsocks::default();
    let own = credential(&InboundProtocol::Shadowsocks(settings.clone()), &UserKey::new(KEY), "");
    let keys = [&SERVER_KEY[..], own.expose()].map(|key| BASE64_STANDARD.encode(key)).join(":");
    let (method, password) = (settings.method.name().into(), Secret::new(keys));
    dialer(server, Outbound::Shadowsocks(Shadowsocks { method, password, plugin: None, udp_over_tcp: false }))
}

async fn ping(stream: &mut BoxStream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    let mut back = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("in time")?;
    assert_eq!(&back, b"ping");
    Ok(())
}

/// Asks again until an answer comes, as clients of UDP do.
async fn echo(association: &BoxDatagram, word: &[u8]) {
    let target = Target::parse("echo.hezar:7").unwrap();
    let asking = async {
        loop {
            association.send_to(word, &target).await.unwrap();
            let mut buffer = [0; 100];
            let answer = timeout(Duration::from_secs(1), association.recv_from(&mut buffer)).await;
            if answer.is_ok_and(|answer| answer.is_ok_and(|(length, _)| buffer[..length] == *word)) {
                return;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("an answer in time");
}

#[test]
fn clients_over_udp_come_back_to_the_new_process() {
    let stage = Stage::new("", "");
    let users = format!("users = [{{ name = \"phone\", key = \"{}\" }}]", BASE64_STANDARD.encode(KEY));
    stage.configure(&users, &listeners(&stage));
    let first = stage.start();
    let (hy2, ss) = (first.listener("hy2"), first.listener("ss"));
    let (hysteria2, shadowsocks) = (hysteria2(hy2), shadowsocks(ss));
    let target = Target::parse("echo.hezar:7").unwrap();
    let connect = async || hysteria2.connect(&target, &Attempt::within(PATIENCE)).await.unwrap();
    let (mut open, association) = stage.runtime.block_on(async {
        let mut open = connect().await;
        ping(&mut open).await.unwrap();
        let association = shadowsocks.associate(&Attempt::within(PATIENCE)).await.unwrap();
        echo(&association, b"before").await;
        (open, association)
    });
    let second = stage.home.start(&["--takeover"]);
    assert_eq!((second.listener("hy2"), second.listener("ss")), (hy2, ss));
    stage.runtime.block_on(async {
        let ended = timeout(PATIENCE, open.read_u8()).await.expect("the client is told");
        assert!(ended.is_err());
        for _ in 0..10 {
            ping(&mut connect().await).await.unwrap();
        }
        echo(&association, b"after").await;
        drop((open, association));
    });
    first.ended();
    // The association would keep it for the grace period.
    second.kill();
    stage.end();
}

#[test]
fn a_udp_socket_of_a_service_manager_serves_its_listener() {
    let stage = Stage::new("", "");
    let users = format!("users = [{{ name = \"phone\", key = \"{}\" }}]", BASE64_STANDARD.encode(KEY));
    stage.configure(&users, &listeners(&stage));
    let bound = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = bound.local_addr().unwrap();
    // The shell becomes the program: its number is the one that the socket is meant for.
    let text = "exec 3<&0 0</dev/null 1>/dev/null 2>program.log; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=hy2 \
                exec \"$0\" run --listen 127.0.0.1:0 --api 127.0.0.1:0";
    let mut command = Command::new("sh");
    command.current_dir(stage.home.path()).env_clear().env("HOME", stage.home.path());
    command.args(["-c", text, env!("CARGO_BIN_EXE_hezar")]).stdin(OwnedFd::from(bound));
    let mut child = command.spawn().unwrap();
    drop(command);
    eventually("nodes that carry traffic", || {
        let said = stage.home.run(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        (status["listeners"][1]["address"] == address.to_string() && status["nodes"]["healthy"] == 6).then_some(())
    });
    stage.runtime.block_on(async {
        let target = Target::parse("echo.hezar:7").unwrap();
        let mut stream = hysteria2(address).connect(&target, &Attempt::within(PATIENCE)).await.unwrap();
        ping(&mut stream).await.unwrap();
    });
    child.kill().unwrap();
    child.wait().unwrap();
    stage.end();
}
