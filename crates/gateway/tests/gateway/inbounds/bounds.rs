//! What bounds the clients of encrypted inbounds: their users, quotas, rules and limits, and the end of the listener.

use std::time::Duration;

use hezar_core::{Target, Timestamp, settings::ByteCount};
use hezar_engine::Clock;
use hezar_gateway::{
    AccessRules, DefaultOptions, GatewayConfig, Limits, LinkSession, PortSet, Quota, User, UserKey, UserLink,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    SOON, ali, attempt, carries_datagrams, echo_datagram, expect_end, expect_no_node, expect_refused, inbounds, key,
    name, passes_ends, phone, ping, stream_to, with,
};
use crate::{
    clients::connect,
    world::{Does, eventually, world},
};

#[tokio::test]
async fn each_reason_to_refuse_a_user_has_its_code() {
    let used_up = Quota { total: Some(ByteCount(0)), ..Quota::default() };
    for inbound in inbounds() {
        for (user, code) in [
            (User { enabled: false, ..ali() }, "user-disabled"),
            (User { expires: Some(Timestamp(1)), ..ali() }, "user-expired"),
            (User { listeners: vec!["other".to_owned()], ..ali() }, "listener-denied"),
            (User { quota: used_up, ..ali() }, "quota-exceeded"),
        ] {
            let world = world(with(&inbound, [user]), &[Does::Echo]).await;
            let phone = phone(&world, &inbound, &key(), "");
            expect_refused(&world, &phone, "example.com:443", (name(&inbound), code)).await;
            assert_eq!(world.connects(), [0]);
        }
    }
}

#[tokio::test]
async fn access_rules_and_limits_hold() {
    for inbound in inbounds() {
        let rules = AccessRules { deny_ports: Some(PortSet::new(&[25])), ..AccessRules::default() };
        let limits = Limits { connections: Some(1), ..Limits::default() };
        let settings = GatewayConfig { rules, ..with(&inbound, [User { limits, ..ali() }]) };
        let world = world(settings, &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        expect_refused(&world, &phone, "example.com:25", (name(&inbound), "port-denied")).await;
        let mut first = stream_to(&phone, "example.com:443").await;
        ping(&mut first, b"one").await;
        expect_refused(&world, &phone, "example.com:443", (name(&inbound), "user-limit")).await;
        ping(&mut first, b"still here").await;
        drop(first);
        eventually("it is gone", || world.connections.is_empty()).await;
        if !carries_datagrams(&inbound) {
            continue;
        }
        // Each datagram names its target.
        let association = phone.associate(&attempt()).await.unwrap();
        association.send_to(b"denied", &Target::parse("a.example:25").unwrap()).await.unwrap();
        echo_datagram(&association, b"allowed").await;
        let dropped = "hezar_datagrams_dropped_total{reason=\"port-denied\",listener=\"proxy\"} 1";
        assert!(world.metrics().contains(dropped), "{}", world.metrics());
    }
}

/// Within a second, for streams and associations; another user goes on.
#[tokio::test]
async fn what_runs_of_a_refused_user_ends() {
    let sara_key = UserKey::new([8; 32]);
    let sara = || User { key: Some(sara_key.clone()), ..User::new("sara", "p") };
    let used_up = Quota { day: Some(ByteCount(1)), ..Quota::default() };
    for inbound in inbounds() {
        let world = world(with(&inbound, [ali(), sara()]), &[Does::Echo]).await;
        let (phone, others) = (phone(&world, &inbound, &key(), ""), phone(&world, &inbound, &sara_key, ""));
        let mut others = stream_to(&others, "example.com:443").await;
        ping(&mut others, b"before").await;
        for refused in [
            Some(User { enabled: false, ..ali() }),
            Some(User { expires: Some(Timestamp(1)), ..ali() }),
            Some(User { quota: used_up, ..ali() }),
            None,
        ] {
            let mut stream = stream_to(&phone, "example.com:443").await;
            ping(&mut stream, b"ping").await;
            let mut association = None;
            if carries_datagrams(&inbound) {
                let begun = association.insert(phone.associate(&attempt()).await.unwrap());
                echo_datagram(begun, b"ping").await;
            }
            let users: Vec<_> = refused.into_iter().chain([sara()]).collect();
            world.gateway.configure(with(&inbound, users)).unwrap();
            expect_end(stream).await;
            eventually("only one is left", || world.connections.len() == 1).await;
            drop(association);
            ping(&mut others, b"still here").await;
            world.gateway.configure(with(&inbound, [ali(), sara()])).unwrap();
        }
        // A key that was made anew shuts the old links out, also over a session that has begun.
        let renewed = User { key: Some(UserKey::new([9; 32])), ..ali() };
        world.gateway.configure(with(&inbound, [renewed, sara()])).unwrap();
        let before = world.connects()[0];
        if let Ok(stream) = phone.connect(&Target::parse("example.com:443").unwrap(), &attempt()).await {
            expect_no_node(stream).await;
        }
        assert_eq!(world.connects()[0], before, "{inbound:?}");
        ping(&mut others, b"still here").await;
    }
}

/// Whoever has got hold of a link is shut out when it is revoked, also of what runs by it. A further link ends nothing.
#[tokio::test]
async fn what_runs_by_a_revoked_link_or_key_ends() {
    let with_link =
        |enabled| User { links: vec![UserLink { name: "home".into(), enabled, ..UserLink::default() }], ..ali() };
    for inbound in inbounds() {
        let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"before").await;
        world.gateway.configure(with(&inbound, [with_link(true)])).unwrap();
        ping(&mut stream, b"still here").await;
        world.gateway.configure(with(&inbound, [with_link(false)])).unwrap();
        expect_end(stream).await;
        eventually("it is gone", || world.connections.is_empty()).await;
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"before").await;
        let mut association = None;
        if carries_datagrams(&inbound) {
            let begun = association.insert(phone.associate(&attempt()).await.unwrap());
            echo_datagram(begun, b"ping").await;
        }
        let renewed = User { key: Some(UserKey::new([9; 32])), ..ali() };
        world.gateway.configure(with(&inbound, [renewed])).unwrap();
        expect_end(stream).await;
        eventually("nothing is left", || world.connections.is_empty()).await;
        drop(association);
    }
}

#[tokio::test]
async fn usage_is_what_the_client_counted_and_the_quota_ends_a_stream() {
    for inbound in inbounds() {
        let quota = Quota { total: Some(ByteCount(1_000_000)), ..Quota::default() };
        let world = world(with(&inbound, [User { quota, ..ali() }]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "example.com:443").await;
        let mut counted = 0;
        for _ in 0..4 {
            ping(&mut stream, &[7; 50_000]).await;
            counted += 2 * 50_000;
        }
        let used = || world.gateway.usage().summary("ali", Clock::start().now()).total.sum();
        assert_eq!(used(), counted, "exactly, without the bytes of the protocol: {inbound:?}");
        let (mut read, mut write) = tokio::io::split(stream);
        let send = async { while write.write_all(&[7; 64 * 1024]).await.is_ok() {} };
        let mut nowhere = tokio::io::sink();
        let both = async { tokio::join!(send, tokio::io::copy(&mut read, &mut nowhere)) };
        timeout(SOON, both).await.expect("it is ended").1.ok();
        eventually("it is gone", || world.connections.is_empty()).await;
        assert!((1_000_000..1_200_000).contains(&used()), "{}", used());
        expect_refused(&world, &phone, "example.com:443", (name(&inbound), "quota-exceeded")).await;
    }
}

#[tokio::test]
async fn links_have_options_of_their_own() {
    let link = |name: &str, options: &str, session| UserLink {
        name: name.into(),
        options: DefaultOptions::parse_text(options).unwrap(),
        session,
        enabled: true,
    };
    let links = vec![link("america", "country-us", LinkSession::None), link("home", "", LinkSession::Link)];
    for inbound in inbounds() {
        let world = world(with(&inbound, [User { links: links.clone(), ..ali() }]), &[Does::Echo; 4]).await;
        let america = phone(&world, &inbound, &key(), "america");
        for _ in 0..4 {
            ping(&mut stream_to(&america, "example.com:443").await, b"hello").await;
        }
        let connects = world.connects();
        assert_eq!((connects[0], connects[2]), (0, 0), "the odd nodes are in the United States: {connects:?}");
        let home = phone(&world, &inbound, &key(), "home");
        for _ in 0..6 {
            ping(&mut stream_to(&home, "example.com:443").await, b"hello").await;
        }
        let now = world.connects();
        let grown = now.iter().zip(&connects).filter(|(now, before)| now > before).count();
        assert_eq!(grown, 1, "a session keeps its node: {connects:?}, then {now:?}");
    }
}

#[tokio::test]
async fn running_streams_finish_when_the_listener_drains() {
    // Over HTTP/1.1, each piece of an XHTTP upload may need a connection of its own, and the port is closed.
    for inbound in inbounds().filter(passes_ends) {
        let world = world(with(&inbound, [ali()]), &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"before").await;
        let mut silent = connect(&world).await;
        world.drain.cancel();
        assert!(matches!(timeout(SOON, silent.read(&mut [0; 10])).await.expect("it is let go"), Ok(0) | Err(_)));
        ping(&mut stream, b"after").await;
        assert!(!world.serving.is_finished());
        stream.shutdown().await.unwrap();
        expect_end(stream).await;
        timeout(SOON, world.serving).await.expect("the drain ends").unwrap();
    }
}

#[tokio::test]
async fn the_grace_period_ends() {
    for inbound in inbounds() {
        let config = GatewayConfig { grace: Duration::from_millis(50), ..with(&inbound, [ali()]) };
        let world = world(config, &[Does::Echo]).await;
        let phone = phone(&world, &inbound, &key(), "");
        let mut stream = stream_to(&phone, "example.com:443").await;
        ping(&mut stream, b"before").await;
        world.drain.cancel();
        timeout(SOON, world.serving).await.expect("the drain ends").unwrap();
        expect_end(stream).await;
    }
}
