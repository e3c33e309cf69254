//! `hezar source`, `listener`, `user` and `subscription`: objects are listed, made, changed and removed.

mod arguments;
mod links;
mod tables;

use std::process::ExitCode;

use hezar_api::{ObjectDto, ObjectType};
use serde_json::{Map, Value};

use super::{
    control_plane::{ControlPlane, name_of},
    fetch,
    values::assignments,
};
use crate::{
    cli::{JsonArgs, ListenerCommand, NamedArgs, ObjectArgs, SourceCommand, SubscriptionCommand, UserCommand},
    output::{self, Misuse},
};
use arguments::is_assignment;
pub(super) use arguments::place_of;

pub(super) async fn source(plane: Box<dyn ControlPlane>, command: SourceCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { plane, kind: ObjectType::Source };
    match command {
        SourceCommand::List(args) => objects.list(args).await,
        SourceCommand::Add(args) => objects.add_source(&args).await,
        SourceCommand::Edit(args) => objects.edit(&args).await,
        SourceCommand::Pause(args) => objects.set_enabled(&args, false, "paused").await,
        SourceCommand::Resume(args) => objects.set_enabled(&args, true, "resumed").await,
        SourceCommand::Refresh(args) => objects.refresh(&args).await,
        SourceCommand::Test(args) => objects.test(&args).await,
        SourceCommand::Remove(args) => objects.remove(&args).await,
    }
}

pub(super) async fn listener(plane: Box<dyn ControlPlane>, command: ListenerCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { plane, kind: ObjectType::Listener };
    match command {
        ListenerCommand::List(args) => objects.list(args).await,
        ListenerCommand::Add(args) => objects.add(&args).await,
        ListenerCommand::Edit(args) => objects.edit(&args).await,
        ListenerCommand::Remove(args) => objects.remove(&args).await,
    }
}

pub(super) async fn user(plane: Box<dyn ControlPlane>, command: UserCommand) -> anyhow::Result<ExitCode> {
    let objects = Objects { plane, kind: ObjectType::User };
    match command {
        UserCommand::List(args) => objects.list(args).await,
        UserCommand::Add(args) => objects.add_user(&args).await,
        UserCommand::Edit(args) => objects.edit(&args).await,
        UserCommand::Enable(args) => objects.set_enabled(&args, true, "enabled").await,
        UserCommand::Disable(args) => objects.set_enabled(&args, false, "disabled").await,
        UserCommand::Remove(args) => objects.remove(&args).await,
        UserCommand::Link(args) => links::link(&*objects.plane, args).await,
        UserCommand::Key(args) => links::key(&*objects.plane, args).await,
        UserCommand::Usage(args) => tables::usage(objects.plane.usage(args.name).await?, args.output),
    }
}

pub(super) async fn subscription(
    plane: Box<dyn ControlPlane>,
    command: SubscriptionCommand,
) -> anyhow::Result<ExitCode> {
    let objects = Objects { plane, kind: ObjectType::Subscription };
    match command {
        SubscriptionCommand::List(args) => objects.list(args).await,
        SubscriptionCommand::Add(args) => objects.add_subscription(&args).await,
        SubscriptionCommand::Edit(args) => objects.edit(&args).await,
        SubscriptionCommand::Enable(args) => objects.set_enabled(&args, true, "enabled").await,
        SubscriptionCommand::Disable(args) => objects.set_enabled(&args, false, "disabled").await,
        SubscriptionCommand::Remove(args) => objects.remove(&args).await,
    }
}

/// The objects of one kind.
struct Objects {
    plane: Box<dyn ControlPlane>,
    kind: ObjectType,
}

impl Objects {
    async fn list(&self, args: JsonArgs) -> anyhow::Result<ExitCode> {
        let all = self.plane.objects(self.kind).await?;
        if args.json {
            all.iter().try_for_each(output::json)?;
        } else if all.is_empty() {
            let kind = name_of(self.kind);
            output::note(format!("there is no {kind}; `hezar {kind} add --help` has examples"));
        } else {
            tables::objects(self.kind, &all)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The keys that the command line gives, in the types that the schema of the kind says.
    async fn keys(&self, args: &ObjectArgs) -> anyhow::Result<Map<String, Value>> {
        let schema = self.plane.schema(self.kind).await?;
        assignments(args.keys.iter().filter(|key| is_assignment(key)), &schema)
    }

    async fn add(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        self.refuse_odd(args)?;
        self.create(&args.name, self.keys(args).await?, args.output).await
    }

    /// Adds a source whose place may be given as a person calls it.
    async fn add_source(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        if args.name.contains("://") {
            let told = "a source needs a name in front of its place: hezar source add NAME https://example.org/sub";
            return Err(Misuse(told.to_owned()).into());
        }
        let mut places = args.keys.iter().filter(|key| !is_assignment(key));
        let place = places.next();
        if let (Some(place), Some(second)) = (place, places.next()) {
            let told = format!("a source has one place, and two are given: {place:?} and {second:?}; add two sources");
            return Err(Misuse(told).into());
        }
        let mut value = self.keys(args).await?;
        if let Some((key, place)) = place.map(|place| place_of(place)) {
            value.insert(key.to_owned(), place);
        }
        self.create(&args.name, value, args.output).await
    }

    async fn add_user(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        self.refuse_odd(args)?;
        let mut value = self.keys(args).await?;
        if value.contains_key("password") || value.contains_key("password_hash") {
            return self.create(&args.name, value, args.output).await;
        }
        let password = hex::encode(rand::random::<[u8; 12]>());
        value.insert("password".to_owned(), password.as_str().into());
        let made = self.plane.create(self.kind, &args.name, value).await?;
        if args.output.json {
            return with_secret(&made, "password", &password);
        }
        let ended = self.told(&made, "added", args.output)?;
        output::note(format!("the password of {}, which is shown this once:", args.name));
        output::line(password)?;
        Ok(ended)
    }

    async fn add_subscription(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        self.refuse_odd(args)?;
        let made = self.plane.create(self.kind, &args.name, self.keys(args).await?).await?;
        let ended = self.told(&made, "added", args.output)?;
        if let Some(token) = made.token.filter(|_| !args.output.json) {
            let host = self.plane.api_address().map(|address| format!("http://{address}")).unwrap_or_default();
            output::note(format!("the address of {}, which is shown this once:", args.name));
            output::line(format!("{host}/sub/{token}"))?;
        }
        Ok(ended)
    }

    /// Refuses words that are no assignments.
    fn refuse_odd(&self, args: &ObjectArgs) -> anyhow::Result<()> {
        match args.keys.iter().find(|key| !is_assignment(key)) {
            Some(odd) => {
                Err(Misuse(format!("{odd:?} is no KEY=VALUE; `hezar {} add --help` has examples", name_of(self.kind)))
                    .into())
            }
            None => Ok(()),
        }
    }

    async fn create(&self, name: &str, value: Map<String, Value>, output: JsonArgs) -> anyhow::Result<ExitCode> {
        let made = self.plane.create(self.kind, name, value).await?;
        self.told(&made, "added", output)
    }

    async fn edit(&self, args: &ObjectArgs) -> anyhow::Result<ExitCode> {
        self.refuse_odd(args)?;
        let patch = self.keys(args).await?;
        if patch.is_empty() {
            return Err(Misuse("nothing to change: give KEY=VALUE, or KEY= to take a key away".to_owned()).into());
        }
        let changed = self.plane.change(self.kind, &args.name, patch).await?;
        self.told(&changed, "changed", args.output)
    }

    async fn set_enabled(&self, args: &NamedArgs, is_enabled: bool, what: &str) -> anyhow::Result<ExitCode> {
        let patch = [("enabled".to_owned(), is_enabled.into())].into_iter().collect();
        let changed = self.plane.change(self.kind, &args.name, patch).await?;
        self.told(&changed, what, args.output)
    }

    async fn remove(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let report = self.plane.remove(self.kind, &args.name).await?;
        if args.output.json {
            output::json(&report)?;
        } else {
            output::line(format!("{} {} removed", name_of(self.kind), args.name))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn refresh(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let report = self.plane.refresh_source(&args.name).await?;
        fetch::print(&report.sources, args.output.json)?;
        if report.pending > 0 {
            output::note("it is still being read: `hezar source list` shows what it gave");
        }
        Ok(fetch::code(&report.sources))
    }

    async fn test(&self, args: &NamedArgs) -> anyhow::Result<ExitCode> {
        let report = self.plane.test_source(&args.name).await?;
        if args.output.json {
            output::json(&report)?;
            return Ok(ExitCode::SUCCESS);
        }
        let schemes: Vec<String> = report.schemes.iter().map(|(name, number)| format!("{number} {name}")).collect();
        let schemes = if schemes.is_empty() { String::new() } else { format!(" ({})", schemes.join(", ")) };
        output::line(format!(
            "{}{schemes}, {} of them known; {} refused. Nothing was stored.",
            output::count(report.nodes, "node"),
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
        output::line(format!("{} {} {what}{address}", name_of(self.kind), object.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an object as JSON, with what was made for it and is shown this once.
fn with_secret(object: &ObjectDto, key: &str, secret: &str) -> anyhow::Result<ExitCode> {
    let mut shown = serde_json::to_value(object)?;
    shown[key] = secret.into();
    output::json(&shown)?;
    Ok(ExitCode::SUCCESS)
}
