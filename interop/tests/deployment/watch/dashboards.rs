//! The dashboards of deploy/grafana: what they ask Prometheus, and whether they are laid out as Grafana's schema wants it.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
};

use serde_json::Value;

use super::deploy;

/// The columns of a dashboard.
const COLUMNS: u64 = 24;

/// One dashboard with the name of its file.
pub(super) struct Dashboard {
    pub(super) name: String,
    pub(super) json: Value,
}

/// One query of a panel, its variables replaced.
pub(super) struct Query {
    pub(super) expression: String,
    legend: String,
}

impl Query {
    /// The labels that the legend names; none where a plain zero stands for nothing.
    pub(super) fn legend_labels(&self) -> impl Iterator<Item = &str> {
        let legend = if self.expression.ends_with("or vector(0)") { "" } else { self.legend.as_str() };
        legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()))
    }
}

/// All dashboards.
pub(super) fn dashboards() -> Vec<Dashboard> {
    let files = fs::read_dir(deploy("grafana")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let read = |file: &std::path::PathBuf| Dashboard {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        json: serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap(),
    };
    files.iter().map(read).collect()
}

/// A query as Grafana sends it while everything is selected; the windows are as short as the test's.
fn replaced(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", "10s").replace("$__range", "30s").replace("[1h]", "[30s]");
    for variable in ["$instance", "$source", "$user"] {
        text = text.replace(variable, ".*");
    }
    assert!(!text.contains('$'), "a variable is left in {text}");
    text
}

fn array<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    json[name].as_array().map_or(&[], Vec::as_slice)
}

impl Dashboard {
    fn panels(&self) -> impl Iterator<Item = &Value> {
        array(&self.json, "panels").iter()
    }

    /// Every query of every panel.
    pub(super) fn queries(&self) -> Vec<Query> {
        let targets = self.panels().flat_map(|panel| array(panel, "targets"));
        let query = |target: &Value| Query {
            expression: replaced(target["expr"].as_str().unwrap()),
            legend: target["legendFormat"].as_str().unwrap_or_default().to_owned(),
        };
        targets.map(query).collect()
    }

    /// Queries that have the values of the dashboard's variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = String> {
        let variables = array(&self.json["templating"], "list").iter().filter(|variable| variable["type"] == "query");
        variables.map(|variable| {
            let definition = variable["definition"].as_str().unwrap();
            let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
            let (metric, label) = inner.rsplit_once(", ").unwrap();
            format!("count by ({label}) ({metric}{{{label}!=\"\"}})")
        })
    }

    /// Fails when Grafana would refuse the dashboard, or show it badly.
    pub(super) fn check(&self) {
        let name = &self.name;
        assert!(self.json["schemaVersion"].as_u64().unwrap() >= 36 && self.json["title"].is_string(), "{name}");
        let variables: BTreeSet<&str> =
            array(&self.json["templating"], "list").iter().filter_map(|variable| variable["name"].as_str()).collect();
        assert!(variables.contains("datasource") && variables.contains("instance"), "{name}: {variables:?}");
        let (mut ids, mut taken) = (HashSet::new(), HashSet::new());
        for panel in self.panels() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: the id of {title} is used twice");
            for cell in cells(&panel["gridPos"]) {
                assert!(cell.0 < COLUMNS && taken.insert(cell), "{name}: {title} lies over another panel or outside");
            }
            if panel["type"] != "row" {
                check_panel(name, title, panel);
            }
        }
    }
}

fn check_panel(dashboard: &str, title: &str, panel: &Value) {
    let place = format!("{dashboard}: {title}");
    assert!(!panel["description"].as_str().unwrap().is_empty(), "{place} has no description");
    assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place} has no unit");
    let targets = array(panel, "targets");
    assert!(!targets.is_empty(), "{place} asks nothing");
    let letters: HashSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
    assert_eq!(letters.len(), targets.len(), "{place} has a refId twice");
    for part in targets.iter().chain([panel]) {
        assert_eq!(part["datasource"]["uid"], "${datasource}", "{place} asks a data source of its own");
    }
}

/// The cells that a panel takes.
fn cells(place: &Value) -> impl Iterator<Item = (u64, u64)> {
    let number = |name: &str| place[name].as_u64().unwrap();
    let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
    (x..x + w).flat_map(move |column| (y..y + h).map(move |line| (column, line)))
}
