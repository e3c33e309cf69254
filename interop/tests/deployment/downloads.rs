//! What people download works where there is nothing but the package: the wheel in a clean environment, the tarball in an empty folder.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use hezar_interop::harness::{Running, ask, eventually, free_addresses, programs};
use serde_json::Value;

use crate::packages::{Packages, succeed};

/// Starts the demonstration and sends one request through it.
fn serves_a_demonstration(program: &Path) {
    let home = tempfile::tempdir().unwrap();
    let [proxy, api]: [SocketAddr; 2] = free_addresses(2).try_into().unwrap();
    let arguments = ["run", "--demo", "--listen", &proxy.to_string(), "--api", &api.to_string()];
    let mut running = Running::start(program, &arguments, home.path());
    running.accepts(proxy);
    let body = eventually("an answer through the demonstration", || {
        let answer = ask(proxy, "GET", "http://demo.hezar/", "", "");
        (answer.status == 200).then_some(answer.body)
    });
    assert!(!body.is_empty());
}

#[test]
fn the_wheel_runs_in_a_clean_environment() {
    let Some((hezar, [])) = programs("the wheel", []) else { return };
    let packages = Packages::of(&hezar);
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("venv");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    let pip = |words: &[&str]| {
        let mut command = Command::new(environment.join("bin/python"));
        command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(words);
        command
    };
    succeed(pip(&["install", "--no-index"]).arg(&packages.wheel));
    let program = environment.join("bin/hezar");
    let version = succeed(Command::new(&program).arg("--version"));
    assert_eq!(version.trim(), concat!("hezar ", env!("CARGO_PKG_VERSION")));
    serves_a_demonstration(&program);
    let files = succeed(&mut pip(&["show", "--files", "hezar-proxy"]));
    assert!(files.contains("THIRD-PARTY-NOTICES.txt"), "{files}");
    succeed(&mut pip(&["uninstall", "--yes", "hezar-proxy"]));
    assert!(!program.exists(), "the program stays");
}

#[test]
fn the_tarball_runs_where_it_is_unpacked() {
    let Some((hezar, [])) = programs("the tarball", []) else { return };
    let packages = Packages::of(&hezar);
    succeed(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&packages.folder));
    let sums = fs::read_to_string(packages.folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 4, "{sums}");
    let folder = tempfile::tempdir().unwrap();
    succeed(
        Command::new("tar").arg("--extract").arg("--file").arg(&packages.tarball).arg("--directory").arg(folder.path()),
    );
    let top = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    for name in [
        "LICENSE-MIT",
        "THIRD-PARTY-NOTICES.txt",
        "man/man1/hezar.1",
        "man/man1/hezar-health.1",
        "completions/hezar.fish",
        "systemd/hezar.service",
        "systemd/user/hezar.service",
    ] {
        assert!(fs::metadata(top.join(name)).is_ok_and(|file| file.len() > 0), "{name} is missing or empty");
    }
    serves_a_demonstration(&top.join("hezar"));
}

#[test]
fn the_bill_of_materials_names_every_part() {
    let Some((hezar, [])) = programs("the bill of materials", []) else { return };
    let bill: Value = serde_json::from_slice(&fs::read(&Packages::of(&hezar).bill_of_materials).unwrap()).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bill["components"].as_array().unwrap();
    let has =
        |start: &str| components.iter().any(|part| part["purl"].as_str().is_some_and(|purl| purl.starts_with(start)));
    for start in ["pkg:cargo/rustls@0.23", "pkg:cargo/tokio@1", "pkg:npm/preact@"] {
        assert!(has(start), "{start} is missing");
    }
    assert!(!has("pkg:cargo/criterion@"), "a part of the benchmarks is named");
    let bare = components.iter().find(|part| part["licenses"].is_null());
    assert!(bare.is_none(), "{bare:?} has no licence");
}
