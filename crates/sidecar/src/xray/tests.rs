//! The calls of `xray api` over a script that stands for Xray, and what Xray's lines mean.
#![cfg(target_os = "linux")]

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use hezar_child::Launcher;
use tracing::Level;
use uuid::Uuid;

use super::{
    api::{XrayApi, XrayApiError},
    config,
    setup::XraySetup,
};
use crate::{CoreSetup as _, slots::SlotTable};

fn script(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// The API of an Xray that is this script.
fn api(folder: &Path, text: &str) -> XrayApi {
    let launcher = Launcher::new(script(folder, "launcher", "shift\nexec \"$@\""), []);
    XrayApi::new(launcher, script(folder, "xray", text), folder.join("api.sock"))
}

fn outbounds(tags: &[&str]) -> Vec<(String, String)> {
    tags.iter().map(|tag| ((*tag).to_owned(), format!("{{\"tag\":\"{tag}\"}}"))).collect()
}

/// Adds what it is given, and stops at a tag that begins with `bad`, as Xray does.
const ADDS: &str = r#"echo "$@" >> calls
for tag in $(cat | tr ',' '\n' | sed -n 's/.*"tag":"\([^"]*\)".*/\1/p'); do
    echo "adding: $tag"
    case $tag in
        bad*) echo "failed to build conf: no such $tag" >&2; exit 1;;
        panic*) printf 'panic: out of range\n\ngoroutine 1 [running]:\nmain.main()\n' >&2; exit 2;;
        gone*) echo "failed to add outbound: rpc error: code = Unavailable desc = gone" >&2; exit 1;;
    esac
    echo "$tag" >> added
done"#;

#[tokio::test]
async fn a_refused_outbound_harms_no_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path(), ADDS);
    let added = api.add(&outbounds(&["a", "bad1", "b", "bad2", "panic", "c"])).await.unwrap();
    let refused: Vec<_> = added.refused.iter().map(|(tag, text)| (tag.as_str(), text.as_str())).collect();
    let text = |tag| format!("failed to build conf: no such {tag}");
    assert_eq!(refused, [("bad1", &*text("bad1")), ("bad2", &*text("bad2")), ("panic", "panic: out of range")]);
    assert_eq!(fs::read_to_string(folder.path().join("added")).unwrap(), "a\nb\nc\n");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let call = format!("api ado --server=unix://{}/api.sock -t 25 stdin:", folder.path().display());
    assert!(calls.lines().all(|line| line == call), "{calls}");
}

#[tokio::test]
async fn an_xray_that_has_gone_is_no_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let gone = api(folder.path(), ADDS).add(&outbounds(&["a", "gone"])).await;
    let Err(XrayApiError::Failed { adding, reason }) = gone else { panic!("{gone:?}") };
    assert!(adding.as_deref() == Some("gone") && reason.contains("Unavailable"), "{reason}");
    let closed = api(folder.path(), "echo 'failed to dial x' >&2\nexit 1").add(&outbounds(&["a"])).await;
    assert_eq!(closed, Err(XrayApiError::Failed { adding: None, reason: "failed to dial x".to_owned() }));
    let missing = XrayApi::new(Launcher::new("/nonexistent".into(), []), "x".into(), folder.path().join("s"));
    assert!(matches!(missing.remove(&["a"]).await, Err(XrayApiError::Command(_))));
}

#[tokio::test]
async fn what_a_command_prints_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let noise = "head -c 5000000 /dev/zero | tr '\\0' x >&2\nexit 1";
    let refused = api(folder.path(), noise).remove(&["a"]).await;
    assert!(matches!(&refused, Err(XrayApiError::Failed { reason, .. }) if reason.len() == 300), "{refused:?}");
}

#[test]
fn nothing_leaves_but_through_the_outbound_of_a_slot() {
    let listen: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    let slots = [("s1".to_owned(), Uuid::from_u128(1)), ("s2".to_owned(), Uuid::from_u128(2))];
    let config = config::render(&slots, listen, Path::new("/home/api.sock"));
    assert_eq!(config["outbounds"], serde_json::json!([{ "tag": "nowhere", "protocol": "blackhole" }]));
    let rules = config["routing"]["rules"].as_array().unwrap();
    let to: Vec<_> = rules.iter().map(|rule| rule["outboundTag"].as_str().unwrap()).collect();
    assert_eq!(to, ["api", "s1", "s2"]);
    assert_eq!(rules[2]["user"], serde_json::json!(["s2"]));
    assert_eq!(config["inbounds"][0]["listen"], "/home/api.sock,0600");
    assert_eq!(config["inbounds"][1]["settings"]["clients"][1]["email"], "s2");
}

#[test]
fn lines_of_the_log_have_the_level_that_they_say() {
    let setup = XraySetup::new("xray".into(), Launcher::new("l".into(), []), SlotTable::new(1, 1));
    let lines = [
        ("2026/03/27 16:06:49.715851 [Info] infra/conf/serial: Reading config", Level::DEBUG),
        ("2026/03/27 16:06:49.774461 [Warning] core: Xray 26.3.27 started", Level::DEBUG),
        ("2026/03/27 16:06:49.774461 [Warning] [12] app/dispatcher: non existing outTag: s1", Level::WARN),
        ("2026/03/27 16:06:49.774461 [Error] transport: failed", Level::ERROR),
        ("Failed to start: main: failed to load config files: [config.json] > infra/conf", Level::ERROR),
        ("A unified platform for anti-censorship.", Level::DEBUG),
    ];
    for (line, level) in lines {
        assert_eq!(setup.level(line), level, "{line}");
    }
}
