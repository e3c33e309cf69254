//! `hezar user link` and `hezar user key`: how the phones of a user come in.

use std::process::ExitCode;

use anyhow::bail;
use hezar_api::{ObjectType, UserLinksQuery};
use hezar_gateway::UserKey;
use serde_json::Value;

use super::with_secret;
use crate::{
    cli::{UserKeyArgs, UserLinkArgs},
    commands::control_plane::ControlPlane,
    output,
    qr::qr,
};

/// Prints the links of a user; the exit code is 1 when there is none.
pub(super) async fn link(plane: &dyn ControlPlane, args: UserLinkArgs) -> anyhow::Result<ExitCode> {
    let query = UserLinksQuery { listener: args.listener, link: args.link, target: args.target };
    let found = plane.links_of_user(&args.name, &query).await?;
    let ended = if found.links.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if found.links.is_empty() {
        output::note(format!(
            "there is no such link: it takes a listener of a kind other than mixed, and a key of the user \
             (`hezar user key {}`)",
            args.name
        ));
    }
    if args.output.json {
        output::json(&found)?;
    } else if let Some(document) = &found.document {
        output::line(document.trim_end())?;
    } else {
        for link in &found.links {
            output::note(&link.name);
            output::line(&link.uri)?;
            if args.qr {
                output::line(qr(&link.uri))?;
            }
        }
    }
    Ok(ended)
}

/// Makes a key for a user that has none, or another one.
pub(super) async fn key(plane: &dyn ControlPlane, args: UserKeyArgs) -> anyhow::Result<ExitCode> {
    let kind = ObjectType::User;
    let name = &args.name;
    let known = plane.objects(kind).await?.into_iter().find(|user| user.name == *name);
    let has_key = known.as_ref().is_some_and(|user| user.value.get("key").is_some_and(Value::is_string));
    if has_key && !args.new {
        bail!(
            "user {name:?} has a key already; --new makes another one, and every link that was given out stops working"
        );
    }
    let key = UserKey::generate().to_text();
    if let Some(user) = known.as_ref().filter(|user| user.origin != "store") {
        let line = user.line.map(|line| format!(" at line {line}")).unwrap_or_default();
        output::note(format!("user {name:?} is said in the configuration file{line}: put this there"));
        if args.output.json {
            return with_secret(user, "key", key.expose());
        }
        output::line(format!("key = \"{}\"", key.expose()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let patch = [("key".to_owned(), key.expose().into())].into_iter().collect();
    let changed = plane.change(kind, name, patch).await?;
    if args.output.json {
        output::json(&changed)?;
    } else {
        output::line(format!("user {name} has a new key; `hezar user link {name}` prints its links"))?;
    }
    Ok(ExitCode::SUCCESS)
}
