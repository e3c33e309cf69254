//! Other nodes take over, within bounds, and only when that is safe; blame goes where it belongs.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hezar_core::Timestamp;
use hezar_gateway::GatewayConfig;
use hezar_pool::{Origin, Outcome, State, Strategy};

use crate::{
    clients::*,
    world::{Does, World, config, eventually, world, world_at},
};

async fn get(world: &World, method: &str, uri: &str) -> (u16, String, bytes::Bytes) {
    let mut client = http(world).await;
    whole(client.send_request(request(method, uri, if method == "POST" { "body" } else { "" })).await.unwrap()).await
}

fn state(world: &World, node: usize) -> State {
    world.pool.node(world.ids[node]).unwrap().state()
}

#[tokio::test]
async fn a_dead_node_is_passed_over() {
    let world = world(config(), &[Does::Refuse, Does::Echo]).await;
    for _ in 0..4 {
        expect_echo(tunnel(&world, "example.com:443").await, b"hello").await;
        let (stream, reply) = socks5(&world, None, &by_name("example.com", 443)).await;
        assert_eq!(reply, Some(0));
        expect_echo(stream, b"hello").await;
    }
    let connects = world.connects();
    assert!(connects[0] > 0 && connects[1] == 8, "{connects:?}");
    assert_ne!(state(&world, 0), State::Healthy);
    assert_eq!(state(&world, 1), State::Healthy);
    assert!(world.metrics().contains("hezar_attempts_total{result=\"failed\",code=\"refused\",listener=\"proxy\"}"));
    let failovers = format!("hezar_failovers_total{{outcome=\"ok\",listener=\"proxy\"}} {}\n", connects[0]);
    assert!(world.metrics().contains(&failovers), "{failovers}");
}

#[tokio::test]
async fn attempts_are_bounded_and_each_goes_to_another_server() {
    let world = world(config(), &[Does::Refuse; 10]).await;
    let (status, proxy_status, body) = get(&world, "GET", "http://example.com/").await;
    assert_eq!(
        (status, proxy_status.as_str()),
        (502, "hezar; error=connection_refused; details=\"all-attempts-failed\"")
    );
    assert!(String::from_utf8_lossy(&body).contains("all 4 upstream proxies"));
    let mut connects = world.connects();
    connects.sort_unstable();
    assert_eq!(connects, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    assert!(world.metrics().contains("hezar_failovers_total{outcome=\"failed\",listener=\"proxy\"} 1\n"));
}

#[tokio::test]
async fn being_offline_is_no_evidence_against_any_node() {
    let world = world(config(), &[Does::Offline; 6]).await;
    for _ in 0..3 {
        let (status, proxy_status, _) = get(&world, "GET", "http://example.com/").await;
        assert_eq!(status, 502);
        assert!(proxy_status.contains("destination_ip_unroutable"), "{proxy_status}");
    }
    assert_eq!(world.connects().iter().sum::<usize>(), 12, "the next node may be one that can be reached");
    for id in &world.ids {
        let node = world.pool.node(*id).unwrap();
        let record = node.record();
        assert_eq!((record.state, record.failures, record.error_rate), (State::Healthy, 0, 0.0));
        assert!(!node.resting(hezar_engine::Clock::start().now()), "a circuit has tripped");
    }
}

#[tokio::test]
async fn nodes_on_a_server_that_failed_are_left_out_while_there_are_others() {
    let dead = "192.0.2.1:1080";
    let nodes = [(dead, Does::Refuse), (dead, Does::Refuse), (dead, Does::Refuse), ("192.0.2.2:1", Does::Echo)];
    let world = world_at(GatewayConfig { attempts: 2, ..config() }, &nodes).await;
    for _ in 0..4 {
        expect_echo(tunnel(&world, "example.com:443").await, b"hello").await;
    }
    assert_eq!(world.connects()[3], 4);
}

#[tokio::test]
async fn another_node_on_the_same_server_is_better_than_none() {
    let server = "192.0.2.1:1080";
    let world = world_at(config(), &[(server, Does::Refuse), (server, Does::Echo)]).await;
    for _ in 0..4 {
        expect_echo(tunnel(&world, "example.com:443").await, b"hello").await;
    }
}

#[tokio::test]
async fn a_mute_node_does_not_eat_the_deadline() {
    let config = GatewayConfig { attempt_timeout: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Hang, Does::Echo]).await;
    for _ in 0..2 {
        expect_echo(tunnel(&world, "example.com:443").await, b"hello").await;
    }
    assert_eq!(world.connects()[1], 2);
}

#[tokio::test]
async fn the_deadline_ends_a_request() {
    let config = GatewayConfig { deadline: Duration::from_millis(200), ..config() };
    let world = world(config, &[Does::Hang; 2]).await;
    let mut stream = connect(&world).await;
    let head = ask(&mut stream, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 504 ") && head.contains("details=\"deadline\""), "{head}");
    // Cut short by our own deadline: that says nothing about the nodes.
    assert_eq!((state(&world, 0), state(&world, 1)), (State::Healthy, State::Healthy));
}

#[tokio::test]
async fn an_empty_pool_is_an_error_not_a_direct_connection() {
    let world = world(config(), &[]).await;
    let (status, proxy_status, body) = get(&world, "GET", "http://127.0.0.1:1/").await;
    assert_eq!((status, proxy_status.as_str()), (503, "hezar; error=destination_unavailable; details=\"pool-empty\""));
    assert!(String::from_utf8_lossy(&body).contains("nothing is ever sent directly"));
}

#[tokio::test]
async fn an_onion_service_is_asked_for_over_no_other_node_than_a_circuit() {
    let world = world(config(), &[Does::Echo; 2]).await;
    let (status, proxy_status, body) = get(&world, "GET", "http://abc.onion/").await;
    assert_eq!((status, proxy_status.as_str()), (503, "hezar; error=destination_unavailable; details=\"no-onion\""));
    assert!(String::from_utf8_lossy(&body).contains("tor = 10"));
    assert_eq!(world.connects(), [0, 0]);
}

#[tokio::test]
async fn a_second_opinion_about_a_target_is_enough() {
    let world = world(config(), &[Does::NoTarget; 4]).await;
    let (status, proxy_status, _) = get(&world, "GET", "http://example.com/").await;
    assert_eq!(status, 502);
    assert!(proxy_status.ends_with("details=\"target-unreachable\""), "{proxy_status}");
    assert_eq!(world.connects().iter().sum::<usize>(), 2);
    assert!((0..4).all(|node| state(&world, node) == State::Healthy));
}

#[tokio::test]
async fn two_nodes_that_deny_a_target_are_not_believed_when_it_was_just_reached() {
    let mut does = [Does::NoTarget; 7];
    does[0] = Does::Echo;
    let config = GatewayConfig { attempts: 16, strategy: Strategy::RoundRobin, ..config() };
    let world = world(config, &does).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut opened = false;
    for soon in 1..=20 {
        // Their probes succeed: of all nodes they are the last that were seen to work.
        let soon = Timestamp(u64::try_from(now).unwrap() + soon * 1000);
        for liar in &world.ids[1..] {
            world.pool.report(*liar, &Outcome::success(Origin::Probe, Duration::from_millis(5)), soon);
        }
        let mut stream = connect(&world).await;
        let head = ask(&mut stream, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
        let served = head.starts_with("HTTP/1.1 200 ");
        assert!(served || !opened, "{head}");
        if served {
            expect_echo(stream, b"hello").await;
            opened = true;
        }
    }
    assert!(opened);
    // Nobody knows why they deny it: they are passed over for this site, and healthy.
    assert!((0..7).all(|node| state(&world, node) == State::Healthy));
}

#[tokio::test]
async fn a_get_is_repeated_and_the_node_that_hung_up_is_blamed() {
    let world = world(config(), &[Does::HangUp, Does::Web]).await;
    for _ in 0..2 {
        let (status, _, name) = get(&world, "GET", "http://origin.test/who").await;
        assert_eq!((status, &*name), (200, &b"node-1"[..]));
    }
    assert_eq!(world.origin_requests(), 2);
    assert_eq!(state(&world, 0), State::Suspect);
}

#[tokio::test]
async fn when_every_node_hangs_up_the_target_may_be_to_blame() {
    let world = world(config(), &[Does::HangUp; 3]).await;
    let (status, proxy_status, _) = get(&world, "GET", "http://origin.test/who").await;
    assert_eq!(status, 502);
    assert!(proxy_status.contains("connection_terminated"), "{proxy_status}");
    assert_eq!(world.connects(), [1, 1, 1]);
    assert!((0..3).all(|node| state(&world, node) == State::Healthy));
}

#[tokio::test]
async fn a_post_is_not_repeated() {
    let world = world(config(), &[Does::HangUp; 3]).await;
    let (status, _, _) = get(&world, "POST", "http://origin.test/who").await;
    assert_eq!(status, 502);
    assert_eq!(world.connects().iter().sum::<usize>(), 1);
}

#[tokio::test]
async fn a_post_goes_elsewhere_when_the_node_cannot_be_dialled() {
    let world = world(config(), &[Does::Refuse, Does::Web]).await;
    for _ in 0..2 {
        let (status, _, _) = get(&world, "POST", "http://origin.test/who").await;
        assert_eq!(status, 200);
    }
    assert_eq!(world.origin_requests(), 2);
}

#[tokio::test]
async fn a_tunnel_that_dies_by_the_nodes_fault_counts_against_it() {
    let world = world(config(), &[Does::Lie]).await;
    let stream = tunnel(&world, "example.com:443").await;
    drop(stream);
    eventually("the node is suspect", || state(&world, 0) == State::Suspect).await;
    assert!(
        world
            .metrics()
            .contains("hezar_attempts_total{result=\"failed\",code=\"authentication\",listener=\"proxy\"} 1")
    );
}

#[tokio::test]
async fn a_tunnel_that_just_ends_counts_against_nobody() {
    let world = world(config(), &[Does::HangUp]).await;
    expect_nothing(tunnel(&world, "example.com:443").await).await;
    assert_eq!(state(&world, 0), State::Healthy);
}

async fn expect_nothing(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(b"hello").await.unwrap();
    assert!(matches!(stream.read(&mut [0; 10]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn nodes_come_and_go_without_touching_a_tunnel() {
    let world = world(config(), &[Does::Echo]).await;
    let mut stream = tunnel(&world, "example.com:443").await;
    ping(&mut stream, b"before").await;
    assert_eq!(world.pool.node(world.ids[0]).unwrap().in_flight(), 1);
    world.pool.apply(hezar_pool::PoolChange::Remove(world.ids.clone()), Timestamp(1));
    assert!(world.pool.node(world.ids[0]).is_none());
    ping(&mut stream, b"after").await;
    expect_echo(stream, b"and the end").await;
    assert_eq!(world.fakes[0].connects.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_post_of_which_nothing_was_written_goes_elsewhere() {
    let world = world(config(), &[Does::HangUpAtOnce, Does::Web]).await;
    for _ in 0..2 {
        let (status, _, _) = get(&world, "POST", "http://origin.test/who").await;
        assert_eq!(status, 200);
    }
    assert_eq!(world.origin_requests(), 2);
}

#[tokio::test]
async fn a_get_is_asked_again_when_a_node_is_silent_for_long() {
    let config = GatewayConfig { attempt_timeout: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Mute, Does::Web]).await;
    for _ in 0..2 {
        let (status, _, name) = get(&world, "GET", "http://origin.test/who").await;
        assert_eq!((status, &*name), (200, &b"node-1"[..]));
    }
    assert_eq!(state(&world, 0), State::Suspect);
}

#[tokio::test]
async fn a_slow_target_is_waited_for() {
    let config = GatewayConfig { attempt_timeout: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Slow, Does::Mute, Does::Mute]).await;
    // Round-robin: the slow one is asked first, second and third.
    for _ in 0..3 {
        let (status, _, name) = get(&world, "GET", "http://origin.test/who").await;
        assert_eq!((status, &*name), (200, &b"node-0"[..]));
    }
    assert_eq!(state(&world, 0), State::Healthy);
}

#[tokio::test]
async fn a_post_to_a_slow_target_is_waited_for_and_not_repeated() {
    let config = GatewayConfig { attempt_timeout: Duration::from_millis(50), ..config() };
    let world = world(config, &[Does::Slow; 3]).await;
    let (status, _, _) = get(&world, "POST", "http://origin.test/who").await;
    assert_eq!((status, world.origin_requests()), (200, 1));
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_attempts() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world(config(), &[Does::Hang]).await;
    let in_flight = || world.pool.node(world.ids[0]).unwrap().in_flight();
    for hello in [&b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"[..], &[5, 1, 0]] {
        let mut stream = connect(&world).await;
        stream.write_all(hello).await.unwrap();
        if hello[0] == 5 {
            stream.read_exact(&mut [0; 2]).await.unwrap();
            stream.write_all(&by_name("example.com", 443)).await.unwrap();
        }
        eventually("the node is being dialled", || in_flight() == 1).await;
        drop(stream);
        eventually("the attempt is given up", || in_flight() == 0).await;
    }
    eventually("both are counted", || {
        let metrics = world.metrics();
        let gone = |inbound: &str| format!("inbound=\"{inbound}\",outcome=\"refused\",code=\"client-gone\"");
        metrics.contains(&gone("connect")) && metrics.contains(&gone("socks5"))
    })
    .await;
}

#[test]
fn no_code_dials_without_a_leased_node() {
    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { sources(&path, found) } else { found.push(path) }
        }
    }
    let mut files = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20);
    let mut dialling = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
        let is_one_of = |files: &[&str]| files.iter().any(|file| name == std::path::Path::new(file));
        // The sites that answer strangers are the operator's, and no byte of a client chooses them.
        for direct in [".direct(", "TcpStream::connect", "TcpSocket", "SystemDialer"] {
            let sites = ["src/encrypted_inbound/mod.rs", "src/encrypted_inbound/reality.rs"];
            let is_for_site = direct == ".direct(" && is_one_of(&sites);
            assert!(!text.contains(direct) || is_for_site, "{direct} in {}", name.display());
        }
        // UDP sockets are the clients' side: that of a SOCKS association sends to the client alone, and those that listeners are opened
        // with go to the engine as they are.
        let (sends, binds) = (text.matches(".send_to(").count(), text.contains("UdpSocket::bind"));
        if is_one_of(&["src/inbound/socks/udp_relay_socket.rs"]) {
            assert!(sends == 1 && text.contains(".send_to(&bytes, self.client_at(port))"));
        } else if is_one_of(&["src/listener_sockets.rs", "src/quic_server.rs", "src/inbound/encrypted/udp.rs"]) {
            assert!(sends == 0 && !binds, "{}", name.display());
        } else {
            assert!(!text.contains("UdpSocket"), "{}", name.display());
        }
        for dial in ["dialer.connect(", "dialer.associate("] {
            if text.contains(dial) {
                dialling.push((name.clone(), dial));
            }
        }
    }
    dialling.sort();
    let expected = [("src/failover/association.rs", "dialer.associate("), ("src/failover/dial.rs", "dialer.connect(")];
    assert_eq!(dialling, expected.map(|(file, dial)| (std::path::PathBuf::from(file), dial)));
}

#[tokio::test]
async fn a_request_waits_for_the_first_node_that_is_probed() {
    let world = world(config(), &[Does::Echo]).await;
    world.exchange(Timestamp(1));
    let (stream, ()) = tokio::join!(tunnel(&world, "example.com:443"), world.first_probe());
    expect_echo(stream, b"hello").await;
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_may_and_not_for_nothing() {
    for (nodes, node_wait) in [(&[Does::Echo][..], Duration::from_millis(50)), (&[], Duration::from_secs(3600))] {
        let world = world(GatewayConfig { node_wait, deadline: Duration::from_secs(3600), ..config() }, nodes).await;
        world.exchange(Timestamp(1));
        let (status, proxy_status, _) = get(&world, "GET", "http://example.com/").await;
        assert_eq!((status, proxy_status.contains("pool-empty")), (503, true), "{proxy_status}");
    }
}

#[tokio::test]
async fn a_site_that_hangs_up_on_many_makes_no_node_suspect() {
    let mut nodes = vec![Does::HangUp; 13];
    nodes.push(Does::Web);
    let world = world(GatewayConfig { attempts: 16, ..config() }, &nodes).await;
    let suspects = || {
        let states = world.ids.iter().map(|id| world.pool.node(*id).unwrap().state());
        states.filter(|state| *state != State::Healthy).count()
    };
    let mut client = http(&world).await;
    for _ in 0..20 {
        let response = client.send_request(request("GET", "http://one.example.org/who", "")).await.unwrap();
        assert_eq!(whole(response).await.0, 200);
    }
    assert!(suspects() <= 2, "{}: one site is no witness against many nodes", suspects());
    // A second site on which they hang up, too, is.
    for _ in 0..20 {
        let response = client.send_request(request("GET", "http://two.example.net/who", "")).await.unwrap();
        assert_eq!(whole(response).await.0, 200);
    }
    assert!(suspects() >= 5, "{}", suspects());
}
