//! The running instance: whether it answers, and how its nodes, sources, store and certificates are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hezar_api::{CertificateDto, SourceDto, StatusDto, StoreDto};
use hyper::StatusCode;

use super::Finding;
use crate::{
    output,
    remote::{Refused, Remote},
};

/// A certificate that ends so soon should have been renewed.
const SOON: Duration = Duration::from_secs(7 * 86_400);

/// Everything that the instance says about itself, with its status when it answers.
pub(super) async fn findings(remote: &Remote) -> (Vec<Finding>, Option<StatusDto>) {
    let status = match remote.get::<StatusDto>("/api/v1/status").await {
        Ok(status) => status,
        Err(error) => return (vec![unanswered(&error)], None),
    };
    let mut found =
        vec![Finding::ok("instance", format!("version {} answers on {}", status.version, remote.address()))];
    found.push(nodes(&status));
    found.extend(status.sources.iter().filter_map(source));
    found.push(store(&status.store));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    found.extend(status.certificates.iter().map(|certificate| self::certificate(certificate, now)));
    let problem = |text: &String| Finding::warn("configuration", text.as_str(), "correct it, then hezar reload");
    found.extend(status.config.problems.iter().chain(&status.config.left_out).map(problem));
    (found, Some(status))
}

fn unanswered(error: &anyhow::Error) -> Finding {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == StatusCode::UNAUTHORIZED => Finding::fail(
            "token",
            "the instance does not know the token of the data folder",
            "use the data folder that the instance was started with (--data), or start it again",
        ),
        _ => Finding::fail("instance", format!("{error:#}"), "hezar run starts one; its log says why it ended"),
    }
}

fn nodes(status: &StatusDto) -> Finding {
    let counts = &status.nodes;
    let total = counts.new + counts.healthy + counts.suspect + counts.dead + counts.unsupported;
    let text = format!("{} of {total} work, behind {}", counts.healthy, output::count(status.exits, "exit"));
    match &status.reason {
        Some(reason) => {
            Finding::fail("nodes", reason.as_str(), "hezar fetch and hezar probe try again now; add other sources")
        }
        None => Finding::ok("nodes", text),
    }
}

/// A source that cannot be read, or gives nothing that works.
fn source(source: &SourceDto) -> Option<Finding> {
    let advice = format!("hezar fetch --source {} tries again; hezar source edit changes it", source.name);
    if let Some(code) = &source.error {
        let text = source.error_text.as_deref().unwrap_or_default();
        return Some(Finding::warn("source", format!("{}: {text} ({code})", source.name), advice));
    }
    let is_barren = source.quarantined && source.healthy == 0;
    is_barren
        .then(|| Finding::warn("source", format!("{}: none of its {} nodes works", source.name, source.nodes), advice))
}

fn store(store: &StoreDto) -> Finding {
    match (store.behind_s, &store.last_error_text) {
        (Some(seconds), text) => Finding::fail(
            "store",
            format!("cannot be written for {seconds} s: {}", text.as_deref().unwrap_or("no reason given")),
            "see that the disk has room and the data folder can be written",
        ),
        (None, _) => Finding::ok("store", format!("is written; {} wait", store.pending)),
    }
}

fn certificate(certificate: &CertificateDto, now: Duration) -> Finding {
    const CHECK: &str = "certificate";
    let port = &certificate.port;
    if let Some(error) = &certificate.error {
        return Finding::warn(
            CHECK,
            format!("{port}: {error}"),
            "correct the files or the name; it is tried again by itself",
        );
    }
    let Some(ends) = certificate.not_after.map(Duration::from_millis) else {
        return Finding::warn(CHECK, format!("{port}: there is none yet"), "wait a minute, then look into the log");
    };
    let advice = "renew it; files that are replaced are read again by themselves";
    match ends.checked_sub(now) {
        None => Finding::fail(CHECK, format!("{port}: it has ended"), advice),
        Some(left) if left < SOON => {
            Finding::warn(CHECK, format!("{port}: it ends in {} days", left.as_secs() / 86_400), advice)
        }
        Some(left) => Finding::ok(CHECK, format!("{port}: good for {} days", left.as_secs() / 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    fn read(json: serde_json::Value) -> StatusDto {
        serde_json::from_value(json).unwrap()
    }

    fn status() -> serde_json::Value {
        serde_json::json!({
            "version": "1", "uptime_s": 1, "proxy": "", "schemes": {}, "sources": [],
            "nodes": { "new": 0, "healthy": 3, "suspect": 0, "dead": 1, "unsupported": 0 }, "exits": 2,
        })
    }

    #[test]
    fn nodes_fail_when_nothing_can_be_served() {
        let mut value = status();
        assert_eq!(nodes(&read(value.clone())), Finding::ok("nodes", "3 of 4 work, behind 2 exits"));
        value["reason"] = "all 4 nodes are dead".into();
        assert_eq!(nodes(&read(value)).verdict, Verdict::Fail);
    }

    #[test]
    fn a_store_that_is_behind_fails() {
        assert_eq!(store(&StoreDto::default()).verdict, Verdict::Ok);
        assert_eq!(store(&StoreDto { behind_s: Some(9), ..StoreDto::default() }).verdict, Verdict::Fail);
    }

    #[test]
    fn certificates_near_their_end_are_told() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let with = |not_after: Option<Duration>, error: Option<&str>| CertificateDto {
            port: "proxy".to_owned(),
            origin: "files".to_owned(),
            names: Vec::new(),
            issuer: None,
            not_after: not_after.map(|end| u64::try_from(end.as_millis()).unwrap()),
            fingerprint: None,
            error: error.map(str::to_owned),
        };
        let verdict = |not_after, error| certificate(&with(not_after, error), days(100)).verdict;
        assert_eq!(verdict(Some(days(200)), None), Verdict::Ok);
        assert_eq!(verdict(Some(days(103)), None), Verdict::Warn);
        assert_eq!(verdict(Some(days(99)), None), Verdict::Fail);
        assert_eq!((verdict(None, None), verdict(Some(days(200)), Some("x"))), (Verdict::Warn, Verdict::Warn));
    }

    #[test]
    fn sources_that_fail_are_named() {
        let mut value = serde_json::json!({ "name": "a", "kind": "url", "nodes": 5, "healthy": 0, "rejected": 0 });
        let finding = |value: &serde_json::Value| source(&serde_json::from_value(value.clone()).unwrap());
        assert_eq!(finding(&value), None);
        value["quarantined"] = true.into();
        assert!(finding(&value).unwrap().text.contains("none of its 5 nodes"));
        (value["error"], value["error_text"]) = ("http".into(), "404".into());
        assert!(finding(&value).unwrap().text.contains("404 (http)"));
    }
}
