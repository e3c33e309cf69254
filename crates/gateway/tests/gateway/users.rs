//! Users, passwords and the options in user names.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{
    Timestamp,
    settings::{Given, Networks, SettingValue},
};
use hezar_gateway::{ConfigError, GatewayConfig, Limits, User};
use hezar_pool::Strategy;

use crate::{
    clients::*,
    world::{Does, World, config, world},
};

fn with_users() -> GatewayConfig {
    GatewayConfig { users: vec![User::new("alice", "s3cret")], ..config() }
}

async fn who(world: &World, login: Option<(&str, &str)>) -> (u16, String, String) {
    let mut client = http(world).await;
    let mut asked = request("GET", "http://origin.test/who", "");
    if let Some((name, password)) = login {
        let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        asked.headers_mut().insert("proxy-authorization", value.parse().unwrap());
    }
    let response = client.send_request(asked).await.unwrap();
    assert_eq!(response.status() == 407, response.headers().contains_key("proxy-authenticate"));
    let (status, proxy_status, body) = whole(response).await;
    (status, proxy_status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn missing_wrong_and_right_over_http() {
    let world = world(with_users(), &[Does::Web]).await;
    for (login, status, code) in [
        (None, 407, "auth-missing"),
        (Some(("alice", "wrong")), 407, "auth-wrong"),
        (Some(("bob", "s3cret")), 407, "auth-wrong"),
        (Some(("alice-contry-de", "s3cret")), 400, "bad-option"),
        (Some(("alice", "s3cret")), 200, ""),
        (Some(("alice-country-de", "s3cret")), 200, ""),
    ] {
        let (found, proxy_status, body) = who(&world, login).await;
        assert_eq!(found, status, "{login:?}: {body}");
        assert!(proxy_status.contains(code), "{proxy_status}");
        assert!(!body.contains("s3cret"));
    }
    let mut stream = connect(&world).await;
    let head = ask(&mut stream, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
}

#[tokio::test]
async fn missing_wrong_and_right_over_socks() {
    let world = world(with_users(), &[Does::Echo]).await;
    let request = by_name("example.com", 80);
    for (login, reply) in [
        (None, None),
        (Some(("alice", "wrong")), None),
        (Some(("alice-contry-de", "s3cret")), None),
        (Some(("alice-country-de", "s3cret")), Some(0)),
    ] {
        assert_eq!(socks5(&world, login, &request).await.1, reply, "{login:?}");
    }
    // SOCKS4 has no password.
    assert_eq!(say(&world, b"\x04\x01\x00\x50\xc0\x00\x02\x09alice\x00").await[..2], [0, 93]);
}

#[tokio::test]
async fn options_without_users() {
    let world = world(config(), &[Does::Web; 4]).await;
    let mut germans = HashSet::new();
    for _ in 0..4 {
        germans.insert(who(&world, Some(("x-country-de", ""))).await.2);
    }
    assert_eq!(germans, HashSet::from(["node-0".to_owned(), "node-2".to_owned()]));
    let (status, proxy_status, _) = who(&world, Some(("x-country-fr", ""))).await;
    assert_eq!(status, 503);
    assert!(proxy_status.contains("no-match"), "{proxy_status}");
    assert_eq!(who(&world, Some(("x-session", ""))).await.0, 400);
}

#[tokio::test]
async fn a_session_keeps_its_node() {
    let world = world(config(), &[Does::Web; 8]).await;
    let first = who(&world, Some(("x-session-abc12", ""))).await.2;
    for _ in 0..8 {
        assert_eq!(who(&world, Some(("x-session-abc12-sesstime-30", ""))).await.2, first);
    }
    let mut others = HashSet::new();
    for n in 0..8 {
        others.insert(who(&world, Some((&format!("x-session-s{n}"), ""))).await.2);
    }
    assert!(others.len() > 1);
}

#[tokio::test]
async fn accounts_keep_an_exit_each() {
    let world = world(config(), &[Does::Web; 8]).await;
    let mut exits = HashSet::new();
    for account in
        ["Default.acc-12", "Default.tmp-12", "Other.acc-12", "Default.user_tom", "Default.us-1", "Default.de"]
    {
        let first = who(&world, Some((account, "x"))).await.2;
        for _ in 0..4 {
            assert_eq!(who(&world, Some((account, "x"))).await.2, first, "{account}");
        }
        exits.insert(first);
    }
    // Round-robin gives each account that has a session of its own another node.
    assert_eq!(exits.len(), 6);
}

#[tokio::test]
async fn countries_of_a_sticky_client_do_not_move_each_other() {
    let world = world(GatewayConfig { strategy: Strategy::Sticky, ..config() }, &[Does::Web; 8]).await;
    let german = who(&world, Some(("x-country-de", ""))).await.2;
    let american = who(&world, Some(("x-country-us", ""))).await.2;
    for _ in 0..6 {
        assert_eq!(who(&world, Some(("x-country-de", ""))).await.2, german);
        assert_eq!(who(&world, Some(("x-country-us", ""))).await.2, american);
    }
    // The same for a session that is used for two countries.
    let german = who(&world, Some(("x-session-s-country-de", ""))).await.2;
    for _ in 0..6 {
        who(&world, Some(("x-session-s-country-us", ""))).await;
        assert_eq!(who(&world, Some(("x-session-s-country-de", ""))).await.2, german);
    }
}

#[tokio::test]
async fn several_countries_are_all_used_and_one_that_has_no_node_is_passed_over() {
    let world = world(config(), &[Does::Web; 4]).await;
    let mut all = HashSet::new();
    for _ in 0..64 {
        all.insert(who(&world, Some(("x-country-de,us", ""))).await.2);
    }
    assert_eq!(all.len(), 4);
    for _ in 0..8 {
        assert_eq!(who(&world, Some(("x-country-fr,de", ""))).await.0, 200);
    }
    assert_eq!(who(&world, Some(("x-country-fr,it", ""))).await.0, 503);
    let first = who(&world, Some(("x-country-fr,us,de-session-s", ""))).await.2;
    for _ in 0..8 {
        assert_eq!(who(&world, Some(("x-country-fr,us,de-session-s", ""))).await.2, first);
    }
}

#[tokio::test]
async fn requests_that_no_node_serves_leave_no_sessions_behind() {
    let world = world(config(), &[Does::Web; 2]).await;
    for number in 0..50 {
        assert_eq!(who(&world, Some((&format!("x-country-zz-session-a{number}"), ""))).await.0, 503);
    }
    assert!(world.sessions.list(Timestamp(0)).is_empty());
    who(&world, Some(("x-session-a", ""))).await;
    assert_eq!(world.sessions.list(Timestamp(0)).len(), 1);
}

#[tokio::test]
async fn names_that_harm_are_refused_over_every_protocol() {
    let world = world(config(), &[Does::Web; 2]).await;
    for name in [format!("x{}-session-s", "a".repeat(44_000)), "x\nforged".to_owned(), "x\x1b[31m".to_owned()] {
        let (status, proxy_status, _) = who(&world, Some((&name, ""))).await;
        assert_eq!((status, proxy_status.contains("bad-option")), (400, true));
    }
    let request = by_name("example.com", 80);
    assert_eq!(socks5(&world, Some(("x\x1b[31m", "p")), &request).await.1, None);
    assert_eq!(say(&world, b"\x04\x01\x00\x50\xc0\x00\x02\x09a\x1b[31m\x00").await[..2], [0, 91]);
    assert!(world.sessions.list(Timestamp(0)).is_empty());
}

#[tokio::test]
async fn a_session_moves_when_its_node_dies() {
    let world = world(config(), &[Does::Web; 3]).await;
    let first = who(&world, Some(("x-session-a", ""))).await.2;
    let index: usize = first.trim_start_matches("node-").parse().unwrap();
    world.pool.apply(hezar_pool::PoolChange::Remove(vec![world.ids[index]]), Timestamp(1));
    let second = who(&world, Some(("x-session-a", ""))).await.2;
    assert_ne!(first, second);
    assert_eq!(who(&world, Some(("x-session-a", ""))).await.2, second);
}

fn networks_of(text: &str) -> Networks {
    Networks::parse(&Given::Variable(text.to_owned()), &()).unwrap()
}

#[test]
fn an_open_address_needs_users() {
    let open = "0.0.0.0:8000".parse().unwrap();
    let config = GatewayConfig { listen: open, ..GatewayConfig::default() };
    assert_eq!(config.validate(), Err(ConfigError::OpenToAll(open)));
    assert_eq!(GatewayConfig { listen: open, ..with_users() }.validate(), Ok(()));
    for listen in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(GatewayConfig { listen: listen.parse().unwrap(), ..GatewayConfig::default() }.validate(), Ok(()));
    }
    let open_to =
        |networks: &str| GatewayConfig { listen: open, open_to: networks_of(networks), ..GatewayConfig::default() };
    assert_eq!(open_to("private,100.64.0.0/10").validate(), Ok(()));
    assert_eq!(open_to("private,0.0.0.0/0").validate(), Err(ConfigError::OpenToPublic));
    let mut bad = with_users();
    bad.users.push(bad.users[0].clone());
    bad.users.push(User::new("a:b", ""));
    (bad.attempts, bad.max_head) = (0, 10);
    assert_eq!(bad.problems().len(), 5);
}

#[tokio::test]
async fn a_user_who_has_reached_a_limit_is_told_so_and_others_are_served() {
    let one = Limits { connections: Some(1), ..Limits::default() };
    let mut config = with_users();
    config.users[0].limits = one;
    config.users.push(User::new("bob", "b"));
    let world = world(config, &[Does::Web]).await;
    let mut tunnel = connect(&world).await;
    let login = STANDARD.encode("alice:s3cret");
    let head = format!("CONNECT example.com:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {login}\r\n\r\n");
    assert!(ask(&mut tunnel, head.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let (status, proxy_status, body) = who(&world, Some(("alice-session-x", "s3cret"))).await;
    assert_eq!(status, 429, "{body}");
    assert!(proxy_status.contains("user-limit"), "{proxy_status}");
    assert_eq!(who(&world, Some(("bob", "b"))).await.0, 200);
    drop(tunnel);
    // The gateway notices the end of the tunnel a moment later.
    while who(&world, Some(("alice", "s3cret"))).await.0 != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_client_begins_only_so_many_requests_per_second() {
    let client_limits = Limits { requests: Some(1), ..Limits::default() };
    let world = world(GatewayConfig { client_limits, ..config() }, &[Does::Web]).await;
    let all = futures_util::future::join_all((0..50).map(|_| who(&world, None))).await;
    assert!(all.iter().any(|(status, ..)| *status == 200));
    let refused = all.iter().find(|(status, ..)| *status == 429).expect("fifty at once are more than one per second");
    assert!(refused.1.contains("client-limit"), "{}", refused.1);
}
