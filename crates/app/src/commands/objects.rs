//! `hezar source`, `hezar listener` and `hezar user`: what is made while the program runs.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use hezar_api::{ChangeReport, FetchReport, ListDto, ObjectDto, PreviewReport};
use serde_json::{Map, Value, json};
use url::Url;

use super::values::{assignments, percent_encoded};
use crate::{
    cli::{JsonArgs, ListenerCommand, NamedArgs, ObjectArgs, SourceCommand, UserCommand},
    output::{self, Misuse},
    remote::Remote,
};

/// The columns of the lists that keep their width.
const FIXED: usize = 2;

pub(super) async fn source(remote: Remote, command: SourceCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { remote, path: "sources", kind: "source" };
    match command {
        SourceCommand::List(args) => objects.list(args).await,
        SourceCommand::Add(args) => {
            let place = args.keys.iter().find(|key| !is_assignment(key)).cloned();
            let mut value = objects.keys(&args).await?;
            if let Some(place) = place {
                let (key, place) = place_of(&place);
                value.insert(key.to_owned(), place);
            }
            objects.create(&args.name, value, args.output).await
        }
        SourceCommand::Edit(args) => objects.edit(&args).await,
        SourceCommand::Pause(args) => objects.act(&args, "pause").await,
        SourceCommand::Resume(args) => objects.act(&args, "resume").await,
        SourceCommand::Refresh(args) => objects.refresh(&args).await,
        SourceCommand::Test(args) => objects.test(&args).await,
        SourceCommand::Remove(args) => objects.remove(&args).await,
    }
}

pub(super) async fn listener(remote: Remote, command: ListenerCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { remote, path: "listeners", kind: "listener" };
    match command {
        ListenerCommand::List(args) => objects.list(args).await,
        ListenerCommand::Add(args) => objects.add(&args).await,
        ListenerCommand::Edit(args) => objects.edit(&args).await,
        ListenerCommand::Remove(args) => objects.remove(&args).await,
    }
}

pub(super) async fn user(remote: Remote, command: UserCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { remote, path: "users", kind: "user" };
    match command {
        UserCommand::List(args) => objects.list(args).await,
        UserCommand::Add(args) => {
            let mut value = objects.keys(&args).await?;
            let has_password = value.contains_key("password") || value.contains_key("password_hash");
            if !has_password {
                let password: String = rand::random::<[u8; 12]>().iter().map(|byte| format!("{byte:02x}")).collect();
                output::note(format!("the password of {}, which is shown this once: {password}", args.name));
                value.insert("password".to_owned(), password.into());
            }
            objects.create(&args.name, value, args.output).await
        }
        UserCommand::Edit(args) => objects.edit(&args).await,
        UserCommand::Enable(args) => objects.set(&args, json!({ "enabled": true })).await,
        UserCommand::Disable(args) => objects.set(&args, json!({ "enabled": false })).await,
        UserCommand::Remove(args) => objects.remove(&args).await,
        UserCommand::Usage(args) => usage(&objects.remote, args.name.as_deref(), args.output).await,
    }
}

/// The objects of one kind in the running instance.
struct Objects {
    remote: Remote,
    /// The path of the list behind `/api/v1/`.
    path: &'static str,
    kind: &'static str,
}

impl Objects {
    fn address(&self, name: &str) -> String {
        format!("/api/v1/{}/{}", self.path, percent_encoded(name))
    }

    async fn all(&self) -> anyhow::Result<Vec<ObjectDto>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let part: ListDto<ObjectDto> =
                self.remote.get(&format!("/api/v1/{}?limit=1000{cursor}", self.path)).await?;
            all.extend(part.items);
            match part.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    async fn list(&self, args: JsonArgs) -> anyhow::Result<ExitCode> {
        let all = self.all().await?;
        if args.json {
            all.iter().try_for_each(output::json)?;
        } else {
            table(self.kind, &all)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The keys that the command line gives, in the types that the schema of the kind says.
    async fn keys(&self, args: &ObjectArgs) -> anyhow::Result<Map<String, Value>> {
        let schemas: Map<String, Value> = self.remote.get("/api/v1/schemas").await?;
        let schema = schemas.get(self.kind).ok_or_else(|| anyhow!("the instance has no schema of a {}", self.kind))?;
        assignments(args.keys.iter().filter(|key| is_assignment(key)), schema)
    }

    async fn add(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        if let Some(odd) = args.keys.iter().find(|key| !is_assignment(key)) {
            return Err(Misuse(format!("{odd:?} is no KEY=VALUE; `hezar help {}` has examples", self.kind)).into());
        }
        self.create(&args.name, self.keys(args).await?, args.output).await
    }

    async fn create(&self, name: &str, mut value: Map<String, Value>, output: JsonArgs) -> anyhow::Result<ExitCode> {
        value.insert("name".to_owned(), name.into());
        let made: ObjectDto =
            self.remote.post(&format!("/api/v1/{}", self.path), Value::Object(value).to_string()).await?;
        self.told(&made, "added", output)
    }

    async fn edit(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        let value = self.keys(args).await?;
        if value.is_empty() {
            return Err(Misuse("nothing to change: give KEY=VALUE, or KEY= to take a key away".to_owned()).into());
        }
        let named = NamedArgs { name: args.name.clone(), output: args.output };
        self.set(&named, Value::Object(value)).await
    }

    async fn set(&self, args: &NamedArgs, patch: Value) -> anyhow::Result<ExitCode> {
        let changed: ObjectDto = self.remote.patch(&self.address(&args.name), patch.to_string()).await?;
        self.told(&changed, "changed", args.output)
    }

    async fn act(&self, args: &NamedArgs, action: &str) -> anyhow::Result<ExitCode> {
        let path = format!("{}/{action}", self.address(&args.name));
        let changed: ObjectDto = self.remote.post(&path, String::new()).await?;
        self.told(&changed, &format!("{action}d"), args.output)
    }

    async fn remove(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let report: ChangeReport = self.remote.delete(&self.address(&args.name), String::new()).await?;
        if args.output.json {
            output::json(&report)?;
        } else {
            output::line(format!("{} {} removed", self.kind, args.name))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn refresh(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let path = format!("{}/refresh", self.address(&args.name));
        let report: FetchReport = self.remote.post_for(&path, String::new(), super::fetch::LONGEST).await?;
        super::fetch::print(&report.sources, args.output.json)?;
        if report.pending > 0 {
            output::note("it is still being read: `hezar source list` shows what it gave");
        }
        Ok(super::fetch::code(&report.sources))
    }

    async fn test(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let path = format!("{}/test", self.address(&args.name));
        let report: PreviewReport = self.remote.post_for(&path, String::new(), super::fetch::LONGEST).await?;
        if args.output.json {
            output::json(&report)?;
            return Ok(ExitCode::SUCCESS);
        }
        let schemes: Vec<String> = report.schemes.iter().map(|(name, number)| format!("{number} {name}")).collect();
        output::line(format!(
            "{} ({}), {} of them known; {} refused. Nothing was stored.",
            output::count(report.nodes, "node"),
            schemes.join(", "),
            report.known,
            report.refused
        ))?;
        for refusal in report.refusals.iter().take(10) {
            output::line(format!("  line {}: {}: {}", refusal.line, refusal.reject, refusal.excerpt))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn told(&self, object: &ObjectDto, what: &str, output: JsonArgs) -> anyhow::Result<ExitCode> {
        if output.json {
            output::json(object)?;
            return Ok(ExitCode::SUCCESS);
        }
        let address = object.address.as_ref().map(|address| format!("; it listens on {address}")).unwrap_or_default();
        output::line(format!("{} {} {what}{address}", self.kind, object.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// How much users have moved, day by day.
async fn usage(remote: &Remote, user: Option<&str>, output: JsonArgs) -> anyhow::Result<ExitCode> {
    let filter = user.map(|user| format!("?user={}", percent_encoded(user))).unwrap_or_default();
    let usage: Value = remote.get(&format!("/api/v1/usage{filter}")).await?;
    let days = usage.get("items").unwrap_or(&usage);
    let Some(days) = days.as_array() else { bail!("the answer has another shape: is the instance another version?") };
    if output.json {
        days.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(["user", "day", "up", "down"]);
    let text = |day: &Value, key: &str| day.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let bytes = |day: &Value, key: &str| output::bytes(day.get(key).and_then(Value::as_u64).unwrap_or_default());
    for day in days {
        table.add_row([text(day, "user"), text(day, "day"), bytes(day, "up"), bytes(day, "down")]);
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether an argument is `KEY=VALUE`; a web address is none, whatever stands in its query.
fn is_assignment(argument: &str) -> bool {
    argument.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
    })
}

/// The key of a source and its value, guessed from what a person calls the place.
fn place_of(place: &str) -> (&'static str, Value) {
    let Ok(url) = Url::parse(place) else {
        let key = if place.starts_with('@') { "telegram" } else { "file" };
        return (key, place.into());
    };
    let segments = url.path_segments().map(Iterator::count).unwrap_or_default();
    match (url.scheme(), url.host_str().unwrap_or_default().trim_start_matches("www.")) {
        ("http" | "https", "t.me" | "telegram.me") => ("telegram", place.into()),
        ("http" | "https", "github.com") if segments == 2 => ("github", place.into()),
        ("http" | "https" | "ssconf", _) => ("url", place.into()),
        _ => ("links", json!([place])),
    }
}

fn table(kind: &str, objects: &[ObjectDto]) -> anyhow::Result<()> {
    let text = |object: &ObjectDto, key: &str| match object.value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(value) => value.to_string(),
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
        "source" => ["name", "where said", "state", "nodes", "place"],
        "listener" => ["name", "where said", "state", "address", "nodes of"],
        _ => ["name", "where said", "state", "expires", "note"],
    };
    let mut table = output::list(last, FIXED);
    for object in objects {
        let (fourth, fifth) = match kind {
            "source" => {
                let nodes = object.status.as_ref().map(|status| format!("{}/{}", status.healthy, status.nodes));
                let kinds = ["url", "file", "github", "telegram", "links"];
                (nodes.unwrap_or_default(), kinds.map(|kind| text(object, kind)).concat())
            }
            "listener" => {
                let address = object.address.clone().unwrap_or_else(|| text(object, "listen"));
                (address, ["countries", "sources", "schemes", "tags"].map(|key| text(object, key)).join(" "))
            }
            _ => (text(object, "expires"), text(object, "note")),
        };
        output::add_line(&mut table, [object.name.clone(), place(object), on(object).to_owned(), fourth, fifth]);
    }
    output::line(table.to_string())?;
    for problem in objects.iter().filter_map(|object| object.problem.as_ref()) {
        output::note(format!("left out: {problem}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_an_assignment() {
        for (argument, expected) in [
            ("url=https://a.test/?x=1", true),
            ("quota.day=1GiB", true),
            ("note=", true),
            ("https://a.test/?token=x", false),
            ("nodes.txt", false),
            ("=x", false),
            ("A=x", false),
        ] {
            assert_eq!(is_assignment(argument), expected, "{argument}");
        }
    }

    #[test]
    fn a_place_is_known_by_its_form() {
        for (place, key) in [
            ("https://sub.example/a?token=x", "url"),
            ("ssconf://sub.example/a", "url"),
            ("https://t.me/s/channel", "telegram"),
            ("@channel", "telegram"),
            ("https://github.com/me/list", "github"),
            ("https://github.com/me/list/raw/main/x.txt", "url"),
            ("nodes/*.txt", "file"),
            ("ss://secret@h:1", "links"),
        ] {
            assert_eq!(place_of(place).0, key, "{place}");
        }
    }
}
