//! `hezar site-ban`: exits of the running instance that are not used for a site for a time.

use std::process::ExitCode;

use hezar_api::{Saved, SiteBanDto, SiteBanRequest, SiteBansFilter, SiteBansLifted, SiteBansPage, SiteBansQuery};

use super::remote::{encode, percent_encoded, say_if_behind};
use crate::{
    cli::{AddSiteBanArgs, JsonArgs, LiftSiteBansArgs, SiteBanCommand, SiteBansArgs},
    output::{self, Misuse},
    remote::Remote,
};

/// The path of these bans.
const PATH: &str = "/api/v1/bans/sites";
/// How many bans are asked for at a time.
const PAGE: usize = 1000;

pub(super) async fn site_ban(remote: Remote, command: SiteBanCommand) -> anyhow::Result<ExitCode> {
    match command {
        SiteBanCommand::List(args) => list(&remote, args).await,
        SiteBanCommand::Add(args) => add(&remote, args).await,
        SiteBanCommand::Lift(args) => lift(&remote, args).await,
    }
}

async fn list(remote: &Remote, args: SiteBansArgs) -> anyhow::Result<ExitCode> {
    let (SiteBansArgs { filter, output: JsonArgs { json } }, mut bans) = (args, Vec::<SiteBanDto>::new());
    let mut query = SiteBansQuery {
        site: filter.site,
        exit: filter.exit,
        search: filter.search,
        limit: Some(PAGE),
        ..SiteBansQuery::default()
    };
    loop {
        let page: SiteBansPage = remote.get(&format!("{PATH}?{}", encode(&query)?)).await?;
        bans.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    if json {
        bans.iter().try_for_each(output::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if bans.is_empty() {
        output::line("every exit may be used for every site; `hezar site-ban add` bans one for a site")?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = output::now_ms();
    let mut table = output::list(["site", "exit", "banned", "ends in", "reason"], 4);
    for ban in &bans {
        let ends = output::span(ban.until.saturating_sub(now) / 1000);
        let banned = output::ago(now, Some(ban.since));
        output::add_line(&mut table, [ban.site.clone(), ban.exit.clone(), banned, ends, ban.reason.clone()]);
    }
    output::line(table.to_string())?;
    output::line(output::count(bans.len(), "ban"))?;
    Ok(ExitCode::SUCCESS)
}

async fn add(remote: &Remote, args: AddSiteBanArgs) -> anyhow::Result<ExitCode> {
    let AddSiteBanArgs { site, exit, node, time, reason, output: JsonArgs { json } } = args;
    let request = SiteBanRequest { site, exit, node, seconds: time.map(|time| time.as_secs()), reason };
    let ban: Saved<SiteBanDto> = remote.post(PATH, serde_json::to_string(&request)?).await?;
    if json {
        output::json(&ban)?;
        return Ok(ExitCode::SUCCESS);
    }
    let time = output::span(ban.done.until.saturating_sub(ban.done.since) / 1000);
    output::line(format!("exit {} is not used for {} for {time}", ban.done.exit, ban.done.site))?;
    say_if_behind(ban.stored);
    Ok(ExitCode::SUCCESS)
}

async fn lift(remote: &Remote, args: LiftSiteBansArgs) -> anyhow::Result<ExitCode> {
    let LiftSiteBansArgs { ids, filter, output: JsonArgs { json } } = args;
    let filter = SiteBansFilter { site: filter.site, exit: filter.exit, search: filter.search };
    if ids.is_empty() == (filter == SiteBansFilter::default()) {
        return Err(
            Misuse("give ids as SITE@EXIT, or say with --site, --exit or --search which bans".to_owned()).into()
        );
    }
    let mut report = Saved { done: SiteBansLifted { lifted: 0 }, stored: true };
    let mut requests: Vec<(String, String)> =
        ids.iter().map(|id| (format!("{PATH}/{}", percent_encoded(id)), String::new())).collect();
    if requests.is_empty() {
        requests.push((PATH.to_owned(), serde_json::to_string(&filter)?));
    }
    for (path, body) in requests {
        let one: Saved<SiteBansLifted> = remote.delete(&path, body).await?;
        report.done.lifted += one.done.lifted;
        report.stored &= one.stored;
    }
    if json {
        output::json(&report)?;
    } else {
        output::line(format!("{} lifted", output::count(report.done.lifted, "ban")))?;
        say_if_behind(report.stored);
    }
    Ok(if report.done.lifted == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
