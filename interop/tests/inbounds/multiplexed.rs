//! Clients that put many streams into one connection: Xray with mux.cool, at a listener where each client has a connection of its own, and
//! at one where they share them.

use hezar_interop::Peer;
use serde_json::{Value, json};

use crate::{
    clients::{AtEnd, Client},
    rows::Row,
    suite,
    world::World,
};

#[test]
fn xray_with_mux() {
    let chosen = |row: &Row| ["vless-ws", "vless-grpc"].contains(&row.name);
    let Some(world) = World::start_with(Peer::Xray, chosen) else { return };
    let subscription = world.add_user(suite::USER);
    let client = Client::start_changed(Peer::Xray, &world, &subscription, "mux", multiplexing);
    let rows: Vec<Row> = world.rows.iter().map(|(row, _)| *row).collect();
    for row in rows {
        // A session of mux.cool ends as a whole.
        let failures = world.runtime.block_on(suite::checks(&world, &client, row, AtEnd::ClosesBoth));
        println!("inbounds: xray with mux at {}: {failures:?}", row.name);
        assert!(failures.is_empty(), "{failures:?}\n{}\n{}", world.log(), client.log());
    }
}

/// Switches mux on for every outbound.
fn multiplexing(given: String) -> String {
    let mut given: Value = serde_json::from_str(&given).unwrap();
    for outbound in given["outbounds"].as_array_mut().unwrap() {
        outbound["mux"] =
            json!({ "enabled": true, "concurrency": 8, "xudpConcurrency": 8, "xudpProxyUDP443": "allow" });
    }
    given.to_string()
}
