//! The network: names, IPv6, the way out, the page of the probes, the clock against what others say, proxies of the environment.

use std::{
    env,
    net::{Ipv6Addr, UdpSocket},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use hezar_core::{Stage, Timestamp};
use hezar_engine::{
    AddressPolicy, Attempt, DialError, Engine, NativeEngine, NativeEngineConfig,
    http::{HttpRequest, ResponseLimits, send},
};
use url::Url;

use super::Finding;
use crate::config::Config;

/// How long one page may take.
const LONGEST: Duration = Duration::from_secs(8);
const LIMITS: ResponseLimits = ResponseLimits { head: 64 << 10, body: 64 << 10 };
/// A difference of clocks that TLS and Tor begin to mind.
const SKEW: Duration = Duration::from_secs(120);
/// A difference with which certificates are not good yet, or no more.
const LARGE_SKEW: Duration = Duration::from_secs(3600);
/// A clock before this was never set (2026-01-01).
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// The variables by which programs are told of a proxy.
const VARIABLES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// What asking a page directly gave.
struct Asked {
    url: Url,
    /// The time that the answer names, if it does.
    answer: Result<Option<Timestamp>, DialError>,
}

/// Everything about the network; `routable` = so many nodes of the running instance carry traffic. Where the configuration names no
/// control pages, nothing is asked directly.
pub(super) async fn findings(config: &Config, routable: Option<usize>) -> Vec<Finding> {
    let mut found = vec![environment(|name| env::var(name).ok()), ipv6(has_ipv6())];
    let control = &config.probe.control;
    if control.is_empty() {
        found.push(clock(now(), &[]));
        found.push(Finding::skip("uplink", "probe.control is empty: nothing is asked directly"));
        return found;
    }
    let engine = NativeEngine::new(&NativeEngineConfig { tls: config.tls.clone(), ..NativeEngineConfig::default() });
    let pages: Vec<&Url> = control.iter().chain([&config.probe.url]).collect();
    let mut asked = join_all(pages.into_iter().map(|url| ask(&engine, url))).await;
    let page = asked.pop();
    found.push(clock(now(), &asked));
    found.push(names(&asked));
    found.push(uplink(&asked));
    found.extend(page.map(|page| probe_page(&page, routable)));
    found
}

async fn ask(engine: &NativeEngine, url: &Url) -> Asked {
    let dialer = engine.direct(AddressPolicy::Any);
    let attempt = Attempt::within(LONGEST);
    let answer = match HttpRequest::of_url(url) {
        Ok(request) => send(&*dialer, engine.tls(), &request, &attempt, LIMITS).await,
        Err(_) => Err(DialError::new(Stage::Exchange, hezar_engine::Cause::Unsupported("this URL"))),
    };
    let date = |answer: hezar_engine::http::HttpResponse| answer.header("date").and_then(hezar_fetch::parse_http_date);
    Asked { url: url.clone(), answer: answer.map(date) }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether there is a way for IPv6: choosing a route sends nothing.
fn has_ipv6() -> bool {
    // An address of the documentation (RFC 3849), to which the default route leads.
    let anywhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok_and(|socket| socket.connect((anywhere, 9)).is_ok())
}

fn ipv6(there: bool) -> Finding {
    if there {
        return Finding::ok("ipv6", "there is a route");
    }
    Finding::ok("ipv6", "there is no route: nodes that have an IPv6 address alone cannot be reached from here")
}

fn environment(variable: impl Fn(&str) -> Option<String>) -> Finding {
    let set: Vec<&str> =
        VARIABLES.into_iter().filter(|name| variable(name).is_some_and(|value| !value.is_empty())).collect();
    if set.is_empty() {
        return Finding::ok("environment", "no proxy is set");
    }
    Finding::warn(
        "environment",
        format!("{} set: Hezar does not use it, and dials nodes and sources by its own way", set.join(", ")),
        "unset it for other programs if it names a proxy that is gone",
    )
}

/// The clock against the times that pages name; without any, whether it was ever set.
fn clock(now: Duration, asked: &[Asked]) -> Finding {
    const CHECK: &str = "clock";
    const ADVICE: &str = "set the clock: timedatectl set-ntp true";
    if now < EARLIEST {
        return Finding::fail(CHECK, "the clock was never set", ADVICE);
    }
    let times = asked.iter().filter_map(|page| page.answer.as_ref().ok()?.as_ref());
    let differences = times.map(|time| Duration::from_millis(time.0).abs_diff(now));
    // One server may be wrong; the nearest one is believed.
    let Some(skew) = differences.min() else {
        return Finding::ok(CHECK, "is plausible; nobody else was asked for the time");
    };
    let text = format!("differs by {} s from what others say", skew.as_secs());
    match skew {
        skew if skew >= LARGE_SKEW => Finding::fail(CHECK, text, ADVICE),
        skew if skew >= SKEW => Finding::warn(CHECK, text, ADVICE),
        _ => Finding::ok(CHECK, text),
    }
}

fn names(asked: &[Asked]) -> Finding {
    const CHECK: &str = "dns";
    let by_name: Vec<_> = asked.iter().filter(|page| page.url.domain().is_some()).collect();
    if by_name.is_empty() {
        return Finding::skip(CHECK, "the control pages have no names");
    }
    let is_lost = |page: &&Asked| matches!(&page.answer, Err(error) if error.stage == Stage::Resolve);
    let lost: Vec<_> = by_name.iter().copied().filter(is_lost).filter_map(|page| page.url.domain()).collect();
    if lost.len() == by_name.len() {
        return Finding::fail(
            CHECK,
            format!("no name is found: {}", lost.join(", ")),
            "see /etc/resolv.conf, and that the network is up",
        );
    }
    if lost.is_empty() {
        return Finding::ok(CHECK, "names are found");
    }
    Finding::warn(
        CHECK,
        format!("not found: {}", lost.join(", ")),
        "the resolver may block these names: set another one in /etc/resolv.conf",
    )
}

fn uplink(asked: &[Asked]) -> Finding {
    let answered = asked.iter().filter(|page| page.answer.is_ok()).count();
    let failures: Vec<String> = asked
        .iter()
        .filter_map(|page| page.answer.as_ref().err().map(|error| format!("{}: {error}", page.url)))
        .collect();
    if answered == 0 {
        return Finding::fail(
            "uplink",
            format!("no control page answers ({})", failures.join("; ")),
            "see that the network is up; where these pages are blocked, set probe.control to pages that are not",
        );
    }
    Finding::ok("uplink", format!("{answered} of {} control pages answer", asked.len()))
}

fn probe_page(page: &Asked, routable: Option<usize>) -> Finding {
    const CHECK: &str = "probe page";
    match (&page.answer, routable) {
        (Ok(_), _) => Finding::ok(CHECK, format!("{} answers directly", page.url)),
        (Err(error), Some(nodes)) if nodes > 0 => {
            Finding::ok(CHECK, format!("{} is not reached directly ({error}), and {nodes} nodes reach it", page.url))
        }
        (Err(error), _) => Finding::warn(
            CHECK,
            format!("{} is not reached directly: {error}", page.url),
            "it may be blocked here, which is no harm when nodes reach it; else set probe.url to another page",
        ),
    }
}

#[cfg(test)]
mod tests {
    use hezar_engine::Cause;

    use super::{super::Verdict, *};

    fn page(url: &str, answer: Result<Option<u64>, Stage>) -> Asked {
        let answer = answer.map(|time| time.map(Timestamp)).map_err(|stage| DialError::new(stage, Cause::Closed));
        Asked { url: url.parse().unwrap(), answer }
    }

    #[test]
    fn the_clock_is_compared_with_the_nearest_time() {
        let now = EARLIEST + Duration::from_secs(1_000_000);
        let at = |seconds: i64| {
            let time = i64::try_from(now.as_millis()).unwrap() + seconds * 1000;
            page("http://a.test/", Ok(Some(u64::try_from(time).unwrap())))
        };
        let verdict = |pages: &[Asked]| clock(now, pages).verdict;
        assert_eq!(verdict(&[]), Verdict::Ok);
        assert_eq!(verdict(&[at(-90_000), at(3)]), Verdict::Ok);
        assert_eq!((verdict(&[at(300)]), verdict(&[at(-7200)])), (Verdict::Warn, Verdict::Fail));
        assert_eq!(clock(Duration::from_secs(5), &[]).verdict, Verdict::Fail);
    }

    #[test]
    fn names_and_uplink_are_told_apart() {
        let lost = || page("http://a.test/", Err(Stage::Resolve));
        let refused = || page("http://b.test/", Err(Stage::Connect));
        let good = || page("http://c.test/", Ok(None));
        let both = |pages: &[Asked]| (names(pages).verdict, uplink(pages).verdict);
        assert_eq!(both(&[lost()]), (Verdict::Fail, Verdict::Fail));
        assert_eq!(both(&[refused()]), (Verdict::Ok, Verdict::Fail));
        assert_eq!(both(&[lost(), good()]), (Verdict::Warn, Verdict::Ok));
        assert_eq!(names(&[page("http://127.0.0.1/", Ok(None))]).verdict, Verdict::Skip);
    }

    #[test]
    fn a_blocked_probe_page_does_no_harm_when_nodes_reach_it() {
        let blocked = page("http://a.test/", Err(Stage::Connect));
        assert_eq!(probe_page(&blocked, Some(3)).verdict, Verdict::Ok);
        assert_eq!(
            (probe_page(&blocked, Some(0)).verdict, probe_page(&blocked, None).verdict),
            (Verdict::Warn, Verdict::Warn)
        );
        assert_eq!(probe_page(&page("http://a.test/", Ok(None)), None).verdict, Verdict::Ok);
    }

    #[test]
    fn proxies_of_the_environment_are_named() {
        assert_eq!(environment(|_| None).verdict, Verdict::Ok);
        assert_eq!(environment(|_| Some(String::new())).verdict, Verdict::Ok);
        let found = environment(|name| (name == "https_proxy").then(|| "http://127.0.0.1:1".to_owned()));
        assert!(found.verdict == Verdict::Warn && found.text.contains("https_proxy"), "{found:?}");
        assert_eq!((ipv6(true).verdict, ipv6(false).verdict), (Verdict::Ok, Verdict::Ok));
    }

    #[tokio::test]
    async fn without_control_pages_nothing_is_asked() {
        let config = Config::read("[probe]\ncontrol = []\n", None, &crate::config::Layers::default()).unwrap();
        let found = findings(&config, None).await;
        let uplink = found.iter().find(|finding| finding.check == "uplink").unwrap();
        assert_eq!(uplink.verdict, Verdict::Skip);
    }
}
