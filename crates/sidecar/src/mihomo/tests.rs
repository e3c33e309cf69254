//! What mihomo is told.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{NodeSpec, Outbound, ShadowsocksR, Target};
use hezar_engine::AddressPolicy;
use serde_json::{Value, json};
use tokio::time::advance;

use super::{config, setup::MihomoSetup};
use crate::{
    CoreSetup,
    slots::{CoreNode, SlotLease, SlotTable},
};

fn ssr(server: &str, policy: AddressPolicy) -> Arc<CoreNode> {
    let ssr = ShadowsocksR {
        method: "aes-256-cfb".into(),
        password: "p\u{1f1e9}\u{1f1ea}".into(),
        protocol: "auth_aes128_md5".into(),
        protocol_param: "".into(),
        obfs: "plain".into(),
        obfs_param: "".into(),
    };
    CoreNode::new(NodeSpec::new(Target::parse(server).unwrap(), Outbound::ShadowsocksR(Box::new(ssr))), policy)
}

fn lease(table: &Arc<SlotTable>, server: &str, policy: AddressPolicy, addresses: &[&str]) -> SlotLease {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    table.lease(&ssr(server, policy), &addresses.into()).unwrap()
}

#[test]
fn every_list_ends_with_reject_and_names_have_the_addresses_that_are_allowed() {
    let table = SlotTable::new(2, 4);
    let _leases = [
        lease(&table, "a.example.test:1", AddressPolicy::Any, &["10.0.0.1", "192.0.2.1"]),
        lease(&table, "a.example.test:1", AddressPolicy::PublicOnly, &["192.0.2.1"]),
        lease(&table, "192.0.2.7:3", AddressPolicy::PublicOnly, &["192.0.2.7"]),
    ];
    let listeners = ["127.0.0.1:1001".parse().unwrap(), "127.0.0.1:1002".parse().unwrap()];
    let plan = table.plan();
    let rendered = config::render(&plan, &listeners);
    let value: Value = serde_json::from_str(&rendered.text).unwrap();
    assert_eq!(value["rules"], json!(["MATCH,REJECT"]));
    assert_eq!(value["sub-rules"]["slots0"], json!(["IN-USER,s00000,s00000", "IN-USER,s00001,s00001", "MATCH,REJECT"]));
    assert_eq!(value["sub-rules"]["slots1"], json!(["IN-USER,s00002,s00002", "IN-USER,s00003,s00003", "MATCH,REJECT"]));
    assert_eq!(value["hosts"], json!({ "a.example.test": ["192.0.2.1"] }));
    assert_eq!(value["dns"]["nameserver"], json!(["rcode://refused"]));
    assert_eq!(value["dns"]["use-system-hosts"], json!(false));
    assert_eq!(value["listeners"][1]["port"], json!(1002));
    let user = |index: usize| plan.slots[index].user.to_string();
    assert_eq!(value["listeners"][0]["users"][1], json!({ "username": "s00001", "uuid": user(1) }));
    let names: Vec<_> = value["proxies"].as_array().unwrap().iter().map(|proxy| proxy["name"].clone()).collect();
    assert_eq!(names, ["s00000", "s00001", "s00002", "s00003"]);
    assert_eq!(value["proxies"][3], json!({ "name": "s00003", "type": "reject" }));
    assert_eq!(value["proxies"][0]["type"], "ssr");
    assert_eq!(rendered.owners, [0, 1, 2, 3]);
    assert!(rendered.text.contains('\u{1f1e9}'), "raw UTF-8: YAML knows no surrogates");
}

#[tokio::test(start_paused = true)]
async fn a_name_leads_to_where_it_was_found_last() {
    let table = SlotTable::new(2, 2);
    drop(lease(&table, "a.example.test:1", AddressPolicy::PublicOnly, &["192.0.2.1"]));
    advance(Duration::from_secs(1)).await;
    // The server has moved, and nobody has dialled its other node since.
    let _other = lease(&table, "a.example.test:2", AddressPolicy::PublicOnly, &["192.0.2.2"]);
    let rendered = config::render(&table.plan(), &["127.0.0.1:1001".parse().unwrap()]);
    let value: Value = serde_json::from_str(&rendered.text).unwrap();
    assert_eq!(value["hosts"], json!({ "a.example.test": ["192.0.2.2"] }));
}

#[test]
fn nodes_that_the_core_has_not_seen_come_first() {
    let table = SlotTable::new(4, 4);
    let _first = lease(&table, "192.0.2.1:1", AddressPolicy::Any, &["192.0.2.1"]);
    table.publish(&table.plan());
    let _second = lease(&table, "192.0.2.2:2", AddressPolicy::Any, &["192.0.2.2"]);
    let rendered = config::render(&table.plan(), &["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(rendered.owners, [1, 0, 2, 3]);
}

#[test]
fn failed_dials_are_nothing_to_write_about() {
    let setup = MihomoSetup::new("mihomo".into(), SlotTable::new(1, 1));
    let line = r#"time="2026" level=warning msg="[TCP] dial s00001 (match InUser/s00001) a:1 --> b:2 error: EOF""#;
    assert_eq!(setup.level(line), tracing::Level::DEBUG);
    assert_eq!(setup.level(r#"time="2026" level=fatal msg="Parse config error: proxy 0""#), tracing::Level::ERROR);
    assert_eq!(setup.level(r#"time="2026" level=info msg="Start""#), tracing::Level::DEBUG);
    assert_eq!(setup.level("panic: x"), tracing::Level::DEBUG);
}
