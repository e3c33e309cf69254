//! Users, passwords and the options in user names.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_gateway::{ConfigError, GatewayConfig, User};

use crate::{
    clients::*,
    world::{Does, World, config, world},
};

fn with_users() -> GatewayConfig {
    GatewayConfig { users: vec![User { name: "alice".into(), password: "s3cret".into() }], ..config() }
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
        (Some(("alice", "wrong")), 403, "auth-wrong"),
        (Some(("bob", "s3cret")), 403, "auth-wrong"),
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
async fn a_session_moves_when_its_node_dies() {
    let world = world(config(), &[Does::Web; 3]).await;
    let first = who(&world, Some(("x-session-a", ""))).await.2;
    let index: usize = first.trim_start_matches("node-").parse().unwrap();
    world.pool.apply(hezar_pool::Change::Remove(vec![world.ids[index]]), hezar_core::Timestamp(1));
    let second = who(&world, Some(("x-session-a", ""))).await.2;
    assert_ne!(first, second);
    assert_eq!(who(&world, Some(("x-session-a", ""))).await.2, second);
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
    let mut bad = with_users();
    bad.users.push(bad.users[0].clone());
    bad.users.push(User { name: "a:b".into(), password: "".into() });
    (bad.attempts, bad.max_head) = (0, 10);
    assert_eq!(bad.problems().len(), 5);
}
