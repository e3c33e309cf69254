//! A subscription as real clients read it, node by node.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use hezar_interop::{
    Peer,
    harness::{Running, ask, eventually, free_addresses},
};
use serde_json::{Value, json};

use crate::world::{Lab, served_by};

/// Each of these ways must lead through its own node.
fn carry(ways: &[(SocketAddr, String)]) {
    let seen: BTreeSet<String> = ways
        .iter()
        .map(|(proxy, name)| {
            let node = eventually("the client carries a request", || served_by(*proxy));
            assert_eq!(node, *name);
            node
        })
        .collect();
    println!("clients: {} nodes of the subscription carried a request", seen.len());
}

/// The tags of the nodes in a configuration of sing-box or Xray.
fn tags(config: &str) -> Vec<String> {
    let config: Value = serde_json::from_str(config).unwrap();
    let outbounds = config["outbounds"].as_array().unwrap().iter();
    let nodes = outbounds
        .filter(|outbound| !["selector", "urltest", "direct"].contains(&outbound["type"].as_str().unwrap_or_default()));
    nodes.map(|outbound| outbound["tag"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn sing_box_reads_it_and_carries_traffic() {
    let Some(lab) = Lab::start(Peer::SingBox) else { return };
    let program = Peer::SingBox.program().unwrap();
    let folder = lab.folder("sing-box");
    let answer = lab.subscription("", "User-Agent: sing-box 1.14.4\r\n");
    fs::write(folder.join("sub.json"), &answer.body).unwrap();
    let tags = tags(&answer.body);
    assert_eq!(tags.len(), lab.nodes, "{}", answer.head);
    let ways: Vec<_> = free_addresses(tags.len()).into_iter().zip(tags).collect();
    let inbounds: Vec<Value> = ways
        .iter()
        .map(|(at, tag)| json!({ "type": "mixed", "tag": format!("in {tag}"), "listen": "127.0.0.1", "listen_port": at.port() }))
        .collect();
    let rules: Vec<Value> =
        ways.iter().map(|(_, tag)| json!({ "inbound": [format!("in {tag}")], "outbound": tag })).collect();
    let own = json!({ "inbounds": inbounds, "route": { "rules": rules } });
    fs::write(folder.join("in.json"), own.to_string()).unwrap();
    let mut running = Running::start(&program, &["run", "-c", "sub.json", "-c", "in.json"], &folder);
    ways.iter().for_each(|(at, _)| running.accepts(*at));
    carry(&ways);
    // The profile for phones opens a device that this machine may not have: it is only checked.
    let profile = lab.subscription("", "User-Agent: SFA/1.12.8 (Build 592; sing-box 1.12.8)\r\n");
    let check = lab.folder("sing-box-profile");
    fs::write(check.join("profile.json"), profile.body).unwrap();
    let output =
        std::process::Command::new(program).args(["check", "-c", "profile.json"]).current_dir(check).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn xray_reads_it_and_carries_traffic() {
    let Some(lab) = Lab::start(Peer::Xray) else { return };
    let folder = lab.folder("xray");
    let answer = lab.subscription("xray", "");
    fs::write(folder.join("sub.json"), &answer.body).unwrap();
    let tags = tags(&answer.body);
    // It knows no SOCKS 4.
    assert_eq!(tags.len(), lab.nodes - 1, "{}", answer.head);
    let ways: Vec<_> = free_addresses(tags.len()).into_iter().zip(tags).collect();
    let inbounds: Vec<Value> = ways
        .iter()
        .map(|(at, tag)| json!({ "protocol": "http", "tag": format!("in {tag}"), "listen": "127.0.0.1", "port": at.port() }))
        .collect();
    let rules: Vec<Value> = ways
        .iter()
        .map(|(_, tag)| json!({ "type": "field", "inboundTag": [format!("in {tag}")], "outboundTag": tag }))
        .collect();
    let own = json!({ "inbounds": inbounds, "routing": { "rules": rules } });
    fs::write(folder.join("in.json"), own.to_string()).unwrap();
    let mut running =
        Running::start(&Peer::Xray.program().unwrap(), &["run", "-c", "sub.json", "-c", "in.json"], &folder);
    ways.iter().for_each(|(at, _)| running.accepts(*at));
    carry(&ways);
}

#[test]
fn mihomo_reads_it_and_carries_traffic() {
    let Some(lab) = Lab::start(Peer::Mihomo) else { return };
    let folder = lab.folder("mihomo");
    let [mixed, controller] = free_addresses(2)[..] else { panic!() };
    let url = format!("http://{}{}", lab.api, lab.path());
    // It reads the address itself, under its own name.
    let config = json!({
        "mixed-port": mixed.port(), "bind-address": "127.0.0.1", "mode": "rule", "log-level": "info", "ipv6": false,
        "external-controller": controller.to_string(),
        "proxy-providers": { "sub": { "type": "http", "url": url, "path": "./sub.yaml", "interval": 3600 } },
        "proxy-groups": [{ "name": "G", "type": "select", "use": ["sub"] }],
        "rules": ["MATCH,G"],
    });
    fs::write(folder.join("config.yaml"), config.to_string()).unwrap();
    let mut running = Running::start(&Peer::Mihomo.program().unwrap(), &["-d", "."], &folder);
    running.accepts(controller);
    running.accepts(mixed);
    let names = eventually("mihomo has read the subscription", || {
        let provider: Value =
            serde_json::from_str(&ask(controller, "GET", "/providers/proxies/sub", "", "").body).ok()?;
        let names: Vec<String> =
            provider["proxies"].as_array()?.iter().filter_map(|n| n["name"].as_str().map(Into::into)).collect();
        (!names.is_empty()).then_some(names)
    });
    // It has no words for SOCKS 4 and for Trojan without TLS.
    let given = lab.subscription("clash", "");
    assert_eq!(names.len(), lab.nodes - 2, "{names:?}\n{}\n{}", given.body, running.log());
    for name in &names {
        let put = ask(controller, "PUT", "/proxies/G", "", &json!({ "name": name }).to_string());
        assert_eq!(put.status, 204, "{}", put.body);
        assert_eq!(served_by(mixed).as_ref(), Some(name), "{}", running.log());
    }
    println!("clients: {} nodes of the subscription carried a request", names.len());
    // As a whole configuration, with its own groups and rule, it is accepted too.
    let check = lab.folder("mihomo-profile");
    fs::write(check.join("config.yaml"), lab.subscription("", "User-Agent: clash.meta/v1.19.32\r\n").body).unwrap();
    let output = std::process::Command::new(Peer::Mihomo.program().unwrap())
        .args(["-t", "-d", "."])
        .current_dir(check)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
