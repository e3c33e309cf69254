//! Objects and what users have moved, as tables.

use std::process::ExitCode;

use hezar_api::{ObjectDto, ObjectType, UsageDayDto};
use serde_json::Value;

use crate::{cli::JsonArgs, output};

/// The columns of the lists that keep their width.
const FIXED: usize = 2;

/// Prints the objects of one kind, and why some of them are not in force.
pub(super) fn objects(kind: ObjectType, objects: &[ObjectDto]) -> anyhow::Result<()> {
    let text = |object: &ObjectDto, key: &str| match object.value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(value) => value.to_string(),
    };
    let part_of_pool = |object: &ObjectDto| {
        let keys = ["countries", "sources", "schemes", "tags"];
        keys.map(|key| text(object, key)).into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let place = |object: &ObjectDto| match (object.origin.as_str(), object.line) {
        ("file", Some(line)) => format!("file:{line}"),
        (origin, _) => origin.to_owned(),
    };
    let on = |object: &ObjectDto| match (&object.problem, object.value.get("enabled")) {
        (Some(_), _) => "left out",
        (None, Some(Value::Bool(false))) => "off",
        _ => "on",
    };
    let last = match kind {
        ObjectType::Source => ["name", "where said", "state", "nodes", "place"],
        ObjectType::Listener => ["name", "where said", "state", "address", "nodes of"],
        ObjectType::Subscription => ["name", "where said", "state", "user", "nodes of"],
        ObjectType::User => ["name", "where said", "state", "expires", "note"],
    };
    let mut table = output::list(last, FIXED);
    for object in objects {
        let (fourth, fifth) = match kind {
            ObjectType::Source => {
                let nodes = object.status.as_ref().map(|status| format!("{}/{}", status.healthy, status.nodes));
                let kinds = ["url", "file", "github", "telegram", "links", "tor", "hezar"];
                (nodes.unwrap_or_default(), kinds.map(|kind| text(object, kind)).concat())
            }
            ObjectType::Listener => {
                let address = object.address.clone().unwrap_or_else(|| text(object, "listen"));
                (address, part_of_pool(object))
            }
            ObjectType::Subscription => (text(object, "user"), part_of_pool(object)),
            ObjectType::User => (text(object, "expires"), text(object, "note")),
        };
        output::add_line(&mut table, [object.name.clone(), place(object), on(object).to_owned(), fourth, fifth]);
    }
    output::line(table.to_string())?;
    for problem in objects.iter().filter_map(|object| object.problem.as_ref()) {
        output::note(format!("left out: {problem}"));
    }
    Ok(())
}

/// Prints how much users have moved, day by day.
pub(super) fn usage(days: Vec<UsageDayDto>, output: JsonArgs) -> anyhow::Result<ExitCode> {
    if output.json {
        days.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if days.is_empty() {
        output::note("no user has moved anything in the last 30 days");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(["user", "day", "up", "down"]);
    for UsageDayDto { user, day, up, down } in days {
        table.add_row([user, day, output::bytes(up), output::bytes(down)]);
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}
