//! Which troubles hold at a moment, each in one sentence for people.

use std::time::Duration;

use hezar_probe::Outage;

use super::facts::{Facts, Trends};
use crate::{
    config::{AlertCondition, AlertConfig},
    output,
};

/// A pool that never had more healthy nodes than these cannot fall sharply.
const FEWEST_HEALTHY: usize = 5;
/// Fewer requests say nothing about the share that succeeds.
const FEWEST_REQUESTS: u64 = 20;
/// How long after the start an empty pool is no trouble: the first nodes are still checked.
const START: Duration = Duration::from_secs(120);

/// What is wrong; `None` while the condition does not hold.
pub(super) fn trouble(
    condition: AlertCondition,
    config: &AlertConfig,
    facts: &Facts,
    trends: &Trends,
) -> Option<String> {
    match condition {
        AlertCondition::HealthyFall => healthy_fall(config, facts, trends),
        AlertCondition::PoolEmpty => pool_empty(facts),
        AlertCondition::Success => success(config, facts, trends),
        AlertCondition::SourceDead => source_dead(config, facts),
        AlertCondition::StoreBehind => store_behind(facts),
        AlertCondition::Certificate => certificate(config, facts),
        AlertCondition::Disk => disk(config, facts),
        AlertCondition::Outage => outage(facts),
    }
}

fn healthy_fall(config: &AlertConfig, facts: &Facts, trends: &Trends) -> Option<String> {
    let (now, most) = (facts.nodes.healthy, trends.most_healthy());
    let lost = most.saturating_sub(now);
    let is_fall = most >= FEWEST_HEALTHY && lost * 100 >= most * config.fall_percent;
    is_fall.then(|| format!("{now} nodes are healthy; within the last hour there were {most}"))
}

fn pool_empty(facts: &Facts) -> Option<String> {
    let is_empty = facts.nodes.routable() == 0 && facts.uptime >= START;
    is_empty.then(|| {
        format!("no node carries traffic, of {} that are known: every request is refused", facts.nodes.total())
    })
}

fn success(config: &AlertConfig, facts: &Facts, trends: &Trends) -> Option<String> {
    let (ok, failed) = trends.recent_requests(facts.requests);
    let all = ok.saturating_add(failed);
    let is_low = all >= FEWEST_REQUESTS && ok * 100 < all * config.success_percent as u64;
    is_low.then(|| format!("{} of the last {all} requests were served: {ok} of them", percent(ok, all)))
}

fn source_dead(config: &AlertConfig, facts: &Facts) -> Option<String> {
    let age = |last_ok: Option<hezar_core::Timestamp>| last_ok.map_or(facts.uptime, |at| facts.now.since(at));
    let dead = facts.sources.iter().filter_map(|source| {
        let code = source.error.as_ref()?;
        let age = age(source.last_ok);
        (age >= config.source_after).then(|| format!("{} ({code}, for {})", source.name, output::span(age.as_secs())))
    });
    let dead: Vec<_> = dead.collect();
    (!dead.is_empty()).then(|| format!("sources cannot be read: {}", shortened(&dead)))
}

fn store_behind(facts: &Facts) -> Option<String> {
    let behind = facts.behind?;
    Some(format!(
        "the store cannot be written for {}: what is not written would be lost in a crash",
        output::span(behind.as_secs())
    ))
}

fn certificate(config: &AlertConfig, facts: &Facts) -> Option<String> {
    let ending = facts.certificates.iter().filter_map(|(place, ends)| {
        let Some(ends) = ends else { return Some(format!("{place} has none")) };
        let left = ends.since(facts.now);
        let text =
            if left.is_zero() { "has ended".to_owned() } else { format!("ends in {}", output::span(left.as_secs())) };
        (left <= config.certificate_before).then(|| format!("{place} {text}"))
    });
    let ending: Vec<_> = ending.collect();
    (!ending.is_empty()).then(|| format!("certificates: {}", shortened(&ending)))
}

fn disk(config: &AlertConfig, facts: &Facts) -> Option<String> {
    let disk = facts.disk?;
    let is_full = u128::from(disk.free) * 100 < u128::from(disk.size) * config.disk_percent as u128;
    is_full
        .then(|| format!("{} of {} are free where the data lies", output::bytes(disk.free), output::bytes(disk.size)))
}

fn outage(facts: &Facts) -> Option<String> {
    match facts.outage? {
        Outage::Uplink => {
            Some("this machine's own network seems to be down; nodes are not judged meanwhile".to_owned())
        }
        Outage::ProbeUrl => Some("the page of probe.url does not answer; nodes are not judged meanwhile".to_owned()),
    }
}

fn percent(part: u64, all: u64) -> String {
    format!("{}%", part.saturating_mul(100) / all.max(1))
}

/// At most five of them, and how many more there are.
fn shortened(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(5).map(String::as_str).collect();
    let more = all.len() - first.len();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;
    use hezar_pool::Counts;

    use super::*;
    use crate::{alerts::facts::SourceFact, disk::DiskSpace};

    fn facts(seconds: u64) -> Facts {
        Facts {
            now: Timestamp(1_000_000_000 + seconds * 1000),
            uptime: Duration::from_secs(seconds),
            nodes: Counts { healthy: 10, ..Counts::default() },
            requests: (0, 0),
            sources: Vec::new(),
            behind: None,
            certificates: Vec::new(),
            disk: None,
            outage: None,
        }
    }

    fn told(condition: AlertCondition, facts: &Facts, trends: &Trends) -> Option<String> {
        trouble(condition, &AlertConfig::default(), facts, trends)
    }

    #[test]
    fn a_fall_is_measured_against_the_best_of_the_last_hour() {
        let mut trends = Trends::default();
        let healthy = |healthy, seconds| Facts { nodes: Counts { healthy, ..Counts::default() }, ..facts(seconds) };
        trends.note(&healthy(10, 0));
        assert_eq!(told(AlertCondition::HealthyFall, &healthy(7, 60), &trends), None);
        let text = told(AlertCondition::HealthyFall, &healthy(6, 60), &trends).unwrap();
        assert_eq!(text, "6 nodes are healthy; within the last hour there were 10");
        trends.note(&healthy(6, 3500));
        assert!(told(AlertCondition::HealthyFall, &healthy(6, 3500), &trends).is_some());
        // An hour later it is what is usual.
        trends.note(&healthy(6, 3700));
        assert_eq!(told(AlertCondition::HealthyFall, &healthy(6, 3700), &trends), None);
        let mut small = Trends::default();
        small.note(&healthy(4, 0));
        assert_eq!(told(AlertCondition::HealthyFall, &healthy(0, 60), &small), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut trends = Trends::default();
        for second in 0..20_000 {
            trends.note(&facts(second));
        }
        assert!(format!("{trends:?}").len() < 40_000);
    }

    #[test]
    fn an_empty_pool_is_no_trouble_right_after_the_start() {
        let empty = |seconds| Facts { nodes: Counts { dead: 3, ..Counts::default() }, ..facts(seconds) };
        let trends = Trends::default();
        assert_eq!(told(AlertCondition::PoolEmpty, &empty(30), &trends), None);
        assert!(told(AlertCondition::PoolEmpty, &empty(300), &trends).unwrap().contains("of 3 that are known"));
        assert_eq!(told(AlertCondition::PoolEmpty, &facts(300), &trends), None);
    }

    #[test]
    fn the_share_of_requests_is_that_of_the_last_minutes() {
        let mut trends = Trends::default();
        let asked = |requests, seconds| Facts { requests, ..facts(seconds) };
        trends.note(&asked((1000, 0), 0));
        assert_eq!(told(AlertCondition::Success, &asked((1000, 19), 60), &trends), None);
        assert!(
            told(AlertCondition::Success, &asked((1000, 20), 60), &trends).unwrap().starts_with("0% of the last 20")
        );
        assert_eq!(told(AlertCondition::Success, &asked((1090, 10), 60), &trends), None);
        assert!(told(AlertCondition::Success, &asked((1089, 11), 60), &trends).is_some());
        trends.note(&asked((1089, 11), 400));
        assert_eq!(told(AlertCondition::Success, &asked((1089, 11), 400), &trends), None);
    }

    #[test]
    fn sources_certificates_disk_store_and_network() {
        let trends = Trends::default();
        let day = 86_400;
        let source = |name: &str, error: Option<&str>| SourceFact {
            name: name.into(),
            last_ok: Some(facts(0).now),
            error: error.map(Into::into),
        };
        let sources = vec![source("good", None), source("gone", Some("http-status"))];
        let at = |seconds| Facts { sources: sources.clone(), ..facts(seconds) };
        assert_eq!(told(AlertCondition::SourceDead, &at(day - 1), &trends), None);
        assert!(told(AlertCondition::SourceDead, &at(day), &trends).unwrap().contains("gone (http-status, for "));

        let ends = |left: u64| Facts { certificates: vec![("proxy".into(), Some(facts(left).now))], ..facts(0) };
        assert_eq!(told(AlertCondition::Certificate, &ends(15 * day), &trends), None);
        assert!(told(AlertCondition::Certificate, &ends(13 * day), &trends).unwrap().contains("proxy ends in "));
        let ended = Facts { certificates: vec![("proxy".into(), Some(Timestamp(1)))], ..facts(0) };
        assert!(told(AlertCondition::Certificate, &ended, &trends).unwrap().contains("proxy has ended"));
        let none = Facts { certificates: vec![("proxy".into(), None)], ..facts(0) };
        assert!(told(AlertCondition::Certificate, &none, &trends).unwrap().contains("proxy has none"));

        let disk = |free| Facts { disk: Some(DiskSpace { free, size: 100 }), ..facts(0) };
        assert!(told(AlertCondition::Disk, &disk(5), &trends).is_none());
        assert!(told(AlertCondition::Disk, &disk(4), &trends).is_some());
        let behind = Facts { behind: Some(Duration::from_secs(7)), ..facts(0) };
        assert!(told(AlertCondition::StoreBehind, &behind, &trends).is_some());
        let down = Facts { outage: Some(Outage::Uplink), ..facts(0) };
        assert!(told(AlertCondition::Outage, &down, &trends).unwrap().contains("network"));
        for condition in AlertCondition::ALL {
            assert_eq!(told(condition, &facts(0), &trends), None, "{condition:?}");
        }
    }
}
