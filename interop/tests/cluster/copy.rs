//! A gateway that starts while the database is away serves from its copy, says so, and catches up later.

use hezar_interop::harness::eventually;
use hezar_lab::Fault;

use crate::{
    load::request,
    stage::{Stage, id, know_healthy},
};

const NODES: usize = 8;

#[test]
fn a_gateway_starts_while_the_database_is_away() {
    let Some((mut stage, [])) = Stage::open("cluster: copy", NODES, []) else { return };
    stage.cluster.proxy = "users = [{ name = \"alice\", password = \"p\" }]\n".to_owned();
    let _fetcher = stage.cluster.member("fetcher", "fetch").unwrap();
    let prober = stage.cluster.member("prober", "probe,api").unwrap();
    let mut gateway = stage.cluster.member("gateway", "gateway,api").unwrap();
    know_healthy([&prober, &gateway], NODES);
    let user = r#"{ "name": "bob", "password": "p" }"#;
    let made = gateway.ask("POST", "/api/v1/users", user);
    assert!(made.status / 100 == 2, "{}", made.body);
    let exit = request(gateway.proxy, Some("alice-session-kept")).unwrap();
    // The last copy is written at the end.
    gateway.signal("TERM").unwrap();
    eventually("the gateway has ended", || gateway.has_ended().then_some(()));

    stage.cluster.server.stop().unwrap();
    gateway.start_again().unwrap();
    let ready = || Some(gateway.ask("GET", "/readyz", "")).filter(|answer| answer.status == 200);
    let told = eventually("it serves", ready);
    assert!(told.body.contains("copy"), "{}", told.body);
    assert_eq!(gateway.healthy(), Some(NODES as u64));
    assert!(gateway.metric("hezar_cluster_copy_age_seconds") > 0.0);
    assert_eq!(request(gateway.proxy, Some("alice-session-kept")).unwrap(), exit, "the session is in the copy");
    request(gateway.proxy, Some("bob")).unwrap();
    let refused = gateway.ask("POST", "/api/v1/users", r#"{ "name": "carol", "password": "p" }"#);
    assert!(refused.body.contains("api-not-stored"), "{} {}", refused.status, refused.body);

    stage.cluster.server.start().unwrap();
    stage.set_fault(0, Fault::Refused);
    let dead = id(&stage.world.nodes()[0].link);
    eventually("it has caught up", || (gateway.state(&dead)? == "dead").then_some(()));
    eventually("it says that it serves from the store", || {
        (!gateway.ask("GET", "/readyz", "").body.contains("copy")).then_some(())
    });
    assert!(gateway.metric("hezar_cluster_copy_age_seconds") == 0.0);
    request(gateway.proxy, Some("bob")).unwrap();
}
