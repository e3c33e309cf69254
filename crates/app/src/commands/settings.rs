//! `hezar settings`, `hezar token` and `hezar audit`: what is in force, who may ask, and who changed what.

use std::process::ExitCode;

use hezar_api::{AuditParameters, SettingDto, TokenRequest};
use serde_json::{Map, Value, json};

use super::{control_plane::ControlPlane, values::typed};
use crate::{
    cli::{AuditArgs, JsonArgs, SettingsCommand, TokenCommand},
    output::{self, Misuse},
};

pub(super) async fn settings(plane: &dyn ControlPlane, command: SettingsCommand) -> anyhow::Result<ExitCode> {
    let all = plane.settings().await?;
    match command {
        SettingsCommand::List(args) => list(&all, args),
        SettingsCommand::Get(args) => show(find(&all, &args.key)?, args.output),
        SettingsCommand::Set(args) => {
            let mut values = Map::new();
            for assignment in &args.settings {
                let (key, text) = assignment
                    .split_once('=')
                    .ok_or_else(|| Misuse(format!("{assignment:?} is no KEY=VALUE, such as probe.interval=30s")))?;
                values.insert(key.to_owned(), value_of(find(&all, key)?, text));
            }
            change(plane, values, args.output).await
        }
        SettingsCommand::Unset(args) => {
            let null = |key: &String| Ok((find(&all, key)?.key.clone(), Value::Null));
            let values = args.keys.iter().map(null).collect::<anyhow::Result<_>>()?;
            change(plane, values, args.output).await
        }
    }
}

/// An empty text is a value here: `fetch.proxy=` says "none".
fn value_of(setting: &SettingDto, text: &str) -> Value {
    let types: Vec<&str> = setting.types.iter().map(String::as_str).collect();
    if text.is_empty() && types.contains(&"array") {
        return json!([]);
    }
    if text.is_empty() { "".into() } else { typed(text, &types) }
}

fn find<'a>(all: &'a [SettingDto], key: &str) -> anyhow::Result<&'a SettingDto> {
    let found = all.iter().find(|setting| setting.key == key);
    let near = || {
        let same_end = |setting: &&SettingDto| setting.key.rsplit('.').next() == key.rsplit('.').next();
        all.iter().find(same_end).map(|setting| format!(" (did you mean {}?)", setting.key)).unwrap_or_default()
    };
    found
        .ok_or_else(|| Misuse(format!("there is no setting {key:?}{}; `hezar settings list` shows all", near())).into())
}

async fn change(plane: &dyn ControlPlane, values: Map<String, Value>, output: JsonArgs) -> anyhow::Result<ExitCode> {
    let report = plane.change_settings(values).await?;
    if output.json {
        output::json(&report)?;
    } else if report.changed.is_empty() {
        output::line("nothing differs: it is in force already")?;
    } else {
        output::line(format!("in force now: {}", report.changed.join(", ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn place(setting: &SettingDto) -> String {
    match (setting.origin.as_str(), setting.line, &setting.variable) {
        ("file", Some(line), _) => format!("file:{line}"),
        ("environment", _, Some(variable)) => variable.clone(),
        (origin, ..) => origin.to_owned(),
    }
}

fn list(all: &[SettingDto], args: JsonArgs) -> anyhow::Result<ExitCode> {
    if args.json {
        all.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::list(["setting", "said by", "value", "meaning"], 2);
    for setting in all {
        let cells = [setting.key.clone(), place(setting), shown(setting.value.as_ref()), setting.about.clone()];
        output::add_line(&mut table, cells);
    }
    output::line(table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn show(setting: &SettingDto, args: JsonArgs) -> anyhow::Result<ExitCode> {
    if args.json {
        output::json(setting)?;
    } else {
        output::line(shown(setting.value.as_ref()))?;
        let when = if setting.changeable { "can be changed now" } else { "needs a restart" };
        output::note(format!(
            "{}\n  allowed: {}\n  default: {}\n  said by: {}; {when}",
            setting.about,
            setting.expected,
            shown(setting.default.as_ref()),
            place(setting)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn token(plane: &dyn ControlPlane, command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::List(args) => {
            let tokens = plane.tokens().await?;
            if args.json {
                tokens.iter().try_for_each(output::json)?;
                return Ok(ExitCode::SUCCESS);
            }
            let now = output::now_ms();
            let mut table = output::table(["token", "scope", "made", "used last"]);
            for token in tokens {
                let (made, used) = (output::ago(now, Some(token.created)), output::ago(now, token.last_used));
                table.add_row([token.name, token.scope, made, used]);
            }
            output::line(table.to_string())?;
        }
        TokenCommand::Create(args) => {
            let made = plane.create_token(TokenRequest { name: args.name, scope: args.scope }).await?;
            if args.output.json {
                output::json(&made)?;
            } else {
                output::line(&made.token)?;
                output::note(format!("the token {}, which is shown this once; its scope is {}", made.name, made.scope));
            }
        }
        TokenCommand::Revoke(args) => {
            let report = plane.revoke_token(&args.name).await?;
            if args.output.json {
                output::json(&report)?;
            } else {
                output::line(report.changed.join(", "))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn audit(plane: &dyn ControlPlane, args: AuditArgs) -> anyhow::Result<ExitCode> {
    let AuditArgs { kind, name, who, limit, output } = args;
    let lines = plane.audit(AuditParameters { kind, name, who, cursor: None, limit: Some(limit.into()) }).await?;
    if output.json {
        lines.items.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = output::now_ms();
    let mut table = output::list(["when", "who", "via", "what", "old → new"], 3);
    for line in lines.items {
        let what = format!("{} {} {}", line.action, line.kind, line.name);
        let change = format!("{} → {}", shown(line.old.as_ref()), shown(line.new.as_ref()));
        output::add_line(&mut table, [output::ago(now, Some(line.at)), line.who, line.via, what, change]);
    }
    output::line(table.to_string())?;
    if lines.next.is_some() {
        output::note("there are older ones: --limit shows more");
    }
    Ok(ExitCode::SUCCESS)
}
