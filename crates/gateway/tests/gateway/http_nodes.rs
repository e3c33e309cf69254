//! Plain requests over HTTP proxies: in absolute form, and over another node where a proxy answers for itself.

use hezar_gateway::GatewayConfig;
use hezar_pool::{Anonymity, HttpAbility, HttpWay, State};

use crate::{
    clients::*,
    world::{Does, World, config, world},
};

async fn get(world: &World, uri: &str) -> (u16, String) {
    let mut client = http(world).await;
    let mut request = request("GET", uri, "");
    request.headers_mut().insert("proxy-authorization", "Basic Y2xpZW50OnNlY3JldA==".parse().unwrap());
    let (status, _, body) = whole(client.send_request(request).await.unwrap()).await;
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn connect_status(world: &World, target: &str) -> u16 {
    let mut stream = connect(world).await;
    let head = ask(&mut stream, format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await;
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_plain_request_travels_in_absolute_form_with_the_nodes_own_password() {
    let world = world(config(), &[Does::AbsoluteOnly]).await;
    let (status, text) = get(&world, "http://example.com:8080/headers?a=b").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.starts_with("GET http://example.com:8080/headers?a=b"), "{text}");
    assert!(text.contains("example.com:8080"), "{text}");
    assert!(!text.contains("Y2xpZW50OnNlY3JldA=="), "the client's password is for us alone: {text}");
    assert!(text.contains("bm9kZQ=="), "{text}");
    assert_eq!(connect_status(&world, "example.com:443").await, 502);
}

#[tokio::test]
async fn a_proxy_that_answers_for_itself_is_left_for_another_node() {
    for bad in [Does::Locked, Does::ErrorPage] {
        let world = world(config(), &[bad, Does::AbsoluteOnly, Does::Web]).await;
        for _ in 0..6 {
            let (status, text) = get(&world, "http://example.com/who").await;
            assert_eq!(status, 200, "{bad:?}: {text}");
        }
        assert!(world.connects()[0] > 0, "{bad:?}");
        // A wrong password is the node's fault; what an error page says may be the target's.
        let blamed = world.pool.node(world.ids[0]).unwrap().state() != State::Healthy;
        assert_eq!(blamed, bad == Does::Locked, "{bad:?}");
    }
}

/// Nothing is known of a node that was restored from an older store: it is asked for a tunnel within the same request.
#[tokio::test]
async fn a_proxy_that_knows_connect_alone_serves_before_it_was_probed() {
    let world = world(config(), &[Does::TunnelOnly]).await;
    assert_eq!(get(&world, "http://example.com/who").await, (200, "node-0".to_owned()));
    assert_eq!(world.pool.node(world.ids[0]).unwrap().state(), State::Healthy);
}

/// A node that accepts nobody is blamed although it does not say that the refusal is its own.
#[tokio::test]
async fn a_proxy_that_lets_nobody_in_is_never_taken_for_the_target() {
    let world = world(config(), &[Does::Closed, Does::TunnelOnly]).await;
    for _ in 0..6 {
        assert_eq!(get(&world, "http://example.com/who").await, (200, "node-1".to_owned()));
    }
    assert_ne!(world.pool.node(world.ids[0]).unwrap().state(), State::Healthy);
}

#[tokio::test]
async fn nodes_that_cannot_carry_a_request_are_not_asked() {
    let world = world(config(), &[Does::Web, Does::AbsoluteOnly, Does::Echo]).await;
    let secure_only = HttpAbility::default()
        .with(HttpWay::Plain, false)
        .with(HttpWay::Tunnel443, true)
        .with(HttpWay::TunnelOther, false);
    let plain_only = HttpAbility::default()
        .with(HttpWay::Plain, true)
        .with(HttpWay::Tunnel443, false)
        .with(HttpWay::TunnelOther, false);
    world.pool.set_http_ability(world.ids[0], secure_only);
    world.pool.set_http_ability(world.ids[1], plain_only);
    world.pool.set_http_ability(world.ids[2], secure_only);
    for _ in 0..6 {
        assert_eq!(get(&world, "http://example.com/who").await, (200, "node-1".to_owned()));
    }
    assert_eq!(world.connects(), [0, 0, 0], "nothing but absolute form was asked for");
    for _ in 0..4 {
        drop(tunnel(&world, "example.com:443").await);
    }
    assert_eq!(world.connects()[1], 0);
    let refused = connect_status(&world, "example.com:22").await;
    assert_eq!(refused, 503, "no node carries that");
}

#[tokio::test]
async fn a_plain_request_is_refused_rather_than_told_with_our_address() {
    for allow_transparent in [false, true] {
        let config = GatewayConfig { allow_transparent, ..config() };
        let world = world(config, &[Does::AbsoluteOnly]).await;
        let plain_only = HttpAbility::default().with(HttpWay::Plain, true).with(HttpWay::TunnelOther, false);
        world.pool.set_http_ability(world.ids[0], plain_only);
        world.pool.set_anonymity(world.ids[0], Anonymity::Transparent);
        let (status, body) = get(&world, "http://example.com/who").await;
        if allow_transparent {
            assert_eq!((status, &*body), (200, "node-0"));
        } else {
            assert_eq!(status, 503);
            assert!(body.contains("only-transparent") && body.contains("proxy.allow_transparent"), "{body}");
        }
    }
}
