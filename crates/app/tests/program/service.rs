//! `hezar install-service` without a systemd to install into: what it would do, and what it refuses. The real thing is in interop.

#![cfg(target_os = "linux")]

use std::fs;

use crate::harness::Home;

#[test]
fn a_dry_run_tells_every_step_and_takes_none() {
    let home = Home::new();
    fs::create_dir_all(home.path().join(".config/hezar")).unwrap();
    let file = home.write(".config/hezar/hezar.toml", "");
    let said = home.run(&["install-service", "--user", "--dry-run"]);
    let out = said.good();
    let folder = home.path().display().to_string();
    for part in [
        format!("would write {folder}/.config/systemd/user/hezar.service:"),
        format!("Environment=HEZAR_CONFIG={} HEZAR_DATA={folder}/.local/share/hezar", file.display()),
        format!("ExecStart={} run", env!("CARGO_BIN_EXE_hezar")),
        "would run: systemctl --user enable --now hezar.service".to_owned(),
    ] {
        assert!(out.contains(&part), "{part} is not in {out}");
    }
    assert!(!home.path().join(".config/systemd").exists() && !home.path().join(".local").exists());
    let said = home.run(&["uninstall-service", "--user", "--dry-run", "--purge"]);
    assert!(said.good().contains(&format!("would remove {folder}/.local/share/hezar")), "{said:?}");
    assert!(file.exists());
}

#[test]
fn the_service_of_the_system_is_enabled_without_a_start_where_that_is_asked() {
    let home = Home::new();
    let said = home.run(&["install-service", "--system", "--dry-run", "--no-start"]);
    let out = said.good();
    assert!(out.contains("would write /etc/hezar/hezar.toml, unless it is there"), "{out}");
    assert!(out.contains("would run: systemctl enable hezar.service hezar-backup.timer"), "{out}");
    home.run(&["install-service", "--system", "--user"]).refused(2, &["cannot be used with"]);
}
