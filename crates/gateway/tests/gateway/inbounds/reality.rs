//! Listeners with REALITY in front of their own site: clients over each transport, strangers, and what a new configuration forgets.

use std::{net::SocketAddr, sync::Arc};

use hezar_core::{
    NodeSpec, Outbound, PacketEncoding, Reality, Security, ShortId, StreamProtocol, Target, Vision, Vless,
};
use hezar_engine::{AddressPolicy, Dialer, Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{
    InboundConfig, InboundFallback, InboundProtocol, InboundReality, InboundTransportKind, RealityPrivateKey, User,
    credential,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpListener,
    time::timeout,
};

use super::{
    SOON, ali, attempt, carrier, echo_datagram, inbound, key, ping,
    secured::{GET, hear, secured, server_tls},
    stream_to,
};
use crate::{
    clients::connect,
    world::{Does, World, eventually, world},
};

const NAME: &str = "vps.example.org";

fn reality(transport: InboundTransportKind) -> InboundConfig {
    let reality = InboundReality {
        private_key: Some(RealityPrivateKey::new([5; 32])),
        server_names: vec![NAME.to_owned()],
        ..InboundReality::default()
    };
    InboundConfig { reality: Some(reality), ..inbound(InboundProtocol::Vless, transport) }
}

/// A phone that knows a private key's public one.
fn phone(world: &World, inbound: &InboundConfig, private_key: [u8; 32], flow: Option<Vision>) -> Arc<dyn Dialer> {
    phone_at(world.address, inbound, private_key, flow)
}

fn phone_at(
    address: SocketAddr,
    inbound: &InboundConfig,
    private_key: [u8; 32],
    flow: Option<Vision>,
) -> Arc<dyn Dialer> {
    let security = Security::Reality(Reality {
        server_name: Some(NAME.into()),
        public_key: RealityPrivateKey::new(private_key).public_key().unwrap(),
        short_id: ShortId::default(),
        spider_x: None,
        mldsa65_verify: None,
        fingerprint: None,
        own_hello: false,
        alpn: Vec::new(),
    });
    let id = uuid::Uuid::from_slice(credential(&inbound.protocol, &key(), "").expose()).unwrap();
    let vless = Vless { id, flow, encryption: None, packet_encoding: PacketEncoding::default() };
    let outbound = Outbound::stream(StreamProtocol::Vless(vless), carrier(inbound.transport.kind, security)).unwrap();
    let server = Target::parse(&address.to_string()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    engine.dialer(&NodeSpec::new(server, outbound), AddressPolicy::Any).unwrap()
}

#[tokio::test]
async fn clients_are_served_over_reality() {
    let tcp = InboundTransportKind::Tcp;
    let vision = Some(Vision::Plain);
    for (transport, flow) in
        [(tcp, None), (tcp, vision), (InboundTransportKind::Grpc, None), (InboundTransportKind::Xhttp, None)]
    {
        let inbound = reality(transport);
        let world = world(secured(&inbound, &server_tls(), [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, [5; 32], flow);
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, &[7; 300_000]).await;
        let [info] = &world.connections.list(0, 10)[..] else { panic!("one connection") };
        assert_eq!((info.inbound, &*info.user, info.up), ("vless", "ali", 300_000), "{transport:?}");
        drop(stream);
        eventually("it is gone", || world.connections.is_empty()).await;
        let association = phone.associate(&attempt()).await.unwrap();
        for payload in [&b"one"[..], &[7; 1200]] {
            echo_datagram(&association, payload).await;
        }
    }
}

#[tokio::test]
async fn strangers_of_reality_get_its_site() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<p>welcome</p>").unwrap();
    let (tls, mut inbound) = (server_tls(), reality(InboundTransportKind::Tcp));
    inbound.fallback = InboundFallback { folder: Some(folder.path().to_owned()), address: None };
    let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
    let page = hear(&world, &tls, GET).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("<p>welcome</p>"), "{page}");
    let wrong = phone(&world, &inbound, [6; 32], Some(Vision::Plain));
    assert!(wrong.connect(&Target::parse("example.com:443").unwrap(), &attempt()).await.is_err());
    let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"stranger\"");
    eventually("it is counted", counted).await;
    assert_eq!(world.connects(), [0]);
    // A client is served all the same, and strangers go with the listener.
    let right = phone(&world, &inbound, [5; 32], Some(Vision::Plain));
    ping(&mut stream_to(&right, "example.com:443").await, b"hello").await;
    let mut half = tls.connect(connect(&world).await).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    half.flush().await.unwrap();
    world.drain.cancel();
    timeout(SOON, world.serving).await.expect("the drain ends").unwrap();
    let _ = timeout(SOON, half.read_to_end(&mut Vec::new())).await.expect("it is ended");
}

/// A hello that was a client's is a stranger's when it comes again, also after the users have changed.
#[tokio::test]
async fn a_new_configuration_remembers_the_hellos_of_before() {
    let (tls, inbound) = (server_tls(), reality(InboundTransportKind::Tcp));
    let world = world(secured(&inbound, &tls, [ali()]), &[Does::Echo]).await;
    // A watcher between the phone and the listener.
    let watcher = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let phone = phone_at(watcher.local_addr().unwrap(), &inbound, [5; 32], None);
    let watch = async {
        let (mut client, _) = watcher.accept().await.unwrap();
        let mut server = connect(&world).await;
        let mut hello = vec![0; 16_384];
        let mut length = client.read(&mut hello).await.unwrap();
        let whole = 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        while length < whole {
            length += client.read(&mut hello[length..]).await.unwrap();
        }
        hello.truncate(length);
        server.write_all(&hello).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        hello
    };
    let talk = async { ping(&mut stream_to(&phone, "example.com:443").await, b"hello").await };
    let (hello, ()) = tokio::join!(watch, talk);
    world.gateway.configure(secured(&inbound, &tls, [ali(), User { key: None, ..User::new("other", "p") }])).unwrap();
    let mut again = connect(&world).await;
    again.write_all(&hello).await.unwrap();
    again.shutdown().await.unwrap();
    let _ = timeout(SOON, again.read_to_end(&mut Vec::new())).await.expect("it is ended");
    let counted = || world.metrics().contains("hezar_connections_rejected_total{code=\"replayed\"");
    eventually("it is counted", counted).await;
}
