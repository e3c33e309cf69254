//! Prometheus, Alertmanager and the dashboards: the files in deploy/ are checked by their own tools, and run against a lab world of which
//! half the nodes die.

mod dashboards;
mod stage;

use std::{path::PathBuf, process::Command};

use hezar_interop::harness::{eventually, programs};

use dashboards::{Dashboard, dashboards};
use stage::Stage;

/// A file or folder of deploy/.
fn deploy(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

#[test]
fn the_files_for_prometheus_and_alertmanager_are_sound() {
    let Some((_, [promtool, amtool])) = programs("watch", ["promtool", "amtool"]) else { return };
    let check = |program: &PathBuf, words: &[&str], folder: &str, file: &str| {
        let output = Command::new(program).args(words).arg(file).current_dir(deploy(folder)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program:?} {words:?} {file}: {said}");
    };
    check(&promtool, &["check", "rules"], "prometheus", "rules.yaml");
    check(&promtool, &["test", "rules"], "prometheus", "rules.test.yaml");
    check(&promtool, &["check", "config", "--syntax-only"], "prometheus", "prometheus.yml");
    check(&amtool, &["check-config"], "alertmanager", "alertmanager.yml");
}

/// Without a running Grafana: what its schema asks for is looked at here.
#[test]
fn the_dashboards_are_sound() {
    let all = dashboards();
    let mut ids: Vec<String> = all.iter().map(|dashboard| dashboard.json["uid"].to_string()).collect();
    all.iter().for_each(Dashboard::check);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn prometheus_sees_everything_and_a_fall_of_healthy_nodes_is_told_and_taken_back() {
    let Some(stage) = Stage::start() else { return };
    stage.wait_for_targets();
    for dashboard in dashboards() {
        dashboard.variables().for_each(|query| {
            eventually(&format!("{} has values for {query}", dashboard.name), || stage.values(&query).map(drop));
        });
        for query in dashboard.queries() {
            let labels = eventually(&format!("{} has data for {}", dashboard.name, query.expression), || {
                stage.values(&query.expression)
            });
            for label in query.legend_labels() {
                assert!(labels.contains(label), "{}: {label} is no label of {}", dashboard.name, query.expression);
            }
        }
    }
    stage.kill_half();
    eventually("the alert is told", || stage.told("HezarHealthyNodesFall", "firing").then_some(()));
    stage.revive();
    eventually("the alert is taken back", || stage.told("HezarHealthyNodesFall", "resolved").then_some(()));
}
