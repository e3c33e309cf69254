//! URLs: conditions, compression, redirects, limits and refusals.

use std::time::Duration;

use hezar_core::{Secret, Timestamp};
use prometheus_client::registry::Registry;
use url::Url;

use super::content::compress;
use super::site::{NOW, Site, answer, endless, fetcher, ok, streamed, stuck, url};
use crate::{FetchConfig, FetchError, FetchMetrics, Fetched, Fetcher, SourceKind, SourceSpec, Validators, web};

type Headers = &'static [(&'static str, &'static str)];

const LIST: &str = "ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388#one\n";

#[tokio::test]
async fn a_list_is_brought_with_its_name() {
    let site = Site::new(|_| ok(LIST)).await;
    let mut spec = url("http://lists.test/a/socks5.txt?token=secret#remark");
    spec.user_agent = Some("v2rayN/7.0".into());
    spec.headers = vec![("X-Key".into(), Secret::new("abc"))];
    let found = site.documents(&spec, &Validators::default()).await;
    assert_eq!((&*found.documents[0].name, &*found.documents[0].bytes), ("socks5.txt", LIST.as_bytes()));
    assert!(found.is_complete() && !found.truncated);
    let seen = &site.seen()[0];
    assert_eq!(seen.path, "/a/socks5.txt?token=secret");
    assert!(seen.has("user-agent: v2rayN/7.0") && seen.has("x-key: abc") && seen.has("host: lists.test"));
}

#[tokio::test]
async fn an_unchanged_list_is_not_brought_again() {
    let site = Site::new(|seen| match seen.header("if-none-match") {
        Some("\"v1\"") => answer(304, &[], ""),
        _ => answer(200, &[("etag", "\"v1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], LIST),
    })
    .await;
    let spec = url("http://lists.test/{Ymd}/a");
    let found = site.documents(&spec, &Validators::default()).await;
    let kept = Validators::from_text(&found.validators.to_text());
    assert_eq!(kept, found.validators);
    assert_eq!(site.fetch(&spec, &kept).await.unwrap(), Fetched::NotModified);
    let seen = site.seen();
    assert_eq!(seen[0].path, "/20260131/a");
    assert!(seen[1].has("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT"));

    // Tomorrow's URL is another question, and so is garbage from the store.
    let tomorrow = NOW.after(Duration::from_secs(86_400));
    let again = fetcher(Duration::from_secs(60)).fetch(&spec, &site, &kept, tomorrow).await.unwrap();
    assert!(matches!(again, Fetched::Documents(_)));
    assert!(matches!(site.fetch(&spec, &Validators::from_text("{garbage")).await.unwrap(), Fetched::Documents(_)));
    assert!(site.seen().iter().all(|seen| seen.header("if-none-match").is_none()));
}

#[tokio::test]
async fn statuses_become_codes_and_never_show_the_url() {
    for status in [400, 401, 404, 410, 500, 304, 418] {
        let site = Site::new(move |_| answer(status, &[], LIST)).await;
        let error = site.failure(&url("http://user:hunter2@lists.test/hunter2?token=hunter2")).await;
        assert!(matches!(error, FetchError::Status { status: s, .. } if s == status), "{error:?}");
        assert!(!error.to_string().contains("hunter2") && error.to_string().contains("lists.test"));
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let in_seconds = |seconds| NOW.after(Duration::from_secs(seconds));
    let cases: [(u16, Headers, Timestamp); 6] = [
        (429, &[("retry-after", "120")], in_seconds(120)),
        (503, &[("retry-after", "Sat, 31 Jan 2026 12:10:00 GMT")], in_seconds(600)),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769861700")], in_seconds(900)),
        (429, &[], in_seconds(300)),
        (429, &[("retry-after", "99999999999")], in_seconds(24 * 3600)),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")], in_seconds(1)),
    ];
    for (status, headers, expected) in cases {
        let site = Site::new(move |_| answer(status, headers, "")).await;
        assert_eq!(site.failure(&url("http://lists.test/")).await.retry_at(), Some(expected), "{headers:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_without_the_credentials() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/a" => answer(302, &[("location", "b?x=1")], ""),
        "/b?x=1" => answer(301, &[("location", "http://other.test/c")], ""),
        _ => ok(LIST),
    })
    .await;
    let mut spec = url("http://lists.test/a");
    spec.headers = vec![("authorization".into(), Secret::new("Bearer t"))];
    let found = site.documents(&spec, &Validators::default()).await;
    assert_eq!(&*found.documents[0].name, "a");
    let sent: Vec<bool> = site.seen().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(sent, [true, true, false]);
}

#[tokio::test]
async fn bad_redirects_end() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/loop" => answer(302, &[("location", "/loop")], ""),
        "/nowhere" => answer(302, &[], ""),
        _ => answer(302, &[("location", "file:///etc/passwd")], ""),
    })
    .await;
    assert_eq!(site.failure(&url("http://lists.test/loop")).await.code(), "too-many-redirects");
    assert_eq!(site.seen().len(), web::MAX_REDIRECTS + 1);
    assert_eq!(site.failure(&url("http://lists.test/nowhere")).await.code(), "bad-redirect");
    assert_eq!(site.failure(&url("http://lists.test/file")).await.code(), "bad-redirect");
    let secure = Url::parse("https://lists.test/a").unwrap();
    assert_eq!(web::redirect_target(&secure, Some("http://lists.test/a")).unwrap_err().code(), "redirect-downgrade");
    assert_eq!(web::redirect_target(&secure, Some("//other.test/")).unwrap().as_str(), "https://other.test/");
}

/// A redirect's target may hold UTF-8, as browsers and the servers that send it understand it.
#[tokio::test]
async fn a_redirect_may_be_written_in_utf_8() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/a" => {
            let mut found = answer(302, &[], "");
            let location = ::http::HeaderValue::from_bytes("/فهرست?q=é".as_bytes()).unwrap();
            found.headers_mut().insert("location", location);
            found
        }
        "/%D9%81%D9%87%D8%B1%D8%B3%D8%AA?q=%C3%A9" => ok(LIST),
        _ => answer(404, &[], ""),
    })
    .await;
    assert_eq!(site.documents(&url("http://lists.test/a"), &Validators::default()).await.bytes(), LIST.len() as u64);
}

/// Hosts that guard against robots set a cookie and redirect to themselves until it comes back.
#[tokio::test]
async fn a_cookie_set_on_the_way_is_sent_back_to_its_host_alone() {
    let site = Site::new(|seen| match seen.header("host") {
        Some("lists.test") if seen.header("cookie") == Some("own=1; seen=yes; wide=2") => {
            answer(302, &[("location", "http://cdn.lists.test/a")], "")
        }
        Some("lists.test") => {
            let mut found = answer(302, &[("location", "/a"), ("set-cookie", "seen=yes; Path=/; HttpOnly")], "");
            for more in ["wide=2; Domain=.lists.test", "other=3; Secure", "broken"] {
                found.headers_mut().append("set-cookie", more.parse().unwrap());
            }
            found
        }
        Some("cdn.lists.test") => answer(302, &[("location", "http://stranger.test/")], ""),
        _ => ok(LIST),
    })
    .await;
    let mut spec = url("http://lists.test/a");
    spec.headers = vec![("Cookie".into(), Secret::new("own=1"))];
    site.documents(&spec, &Validators::default()).await;
    let sent: Vec<Option<String>> = site.seen().iter().map(|seen| seen.header("cookie").map(str::to_owned)).collect();
    let expected = [Some("own=1"), Some("own=1; seen=yes; wide=2"), Some("wide=2"), None];
    assert_eq!(sent, expected.map(|text| text.map(str::to_owned)));
}

/// B18: a source that may have private addresses is still not led to the service that answers for the machine.
#[test]
fn a_redirect_never_leads_to_a_link_local_address() {
    let from = Url::parse("http://10.0.0.1/list").unwrap();
    for location in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
    ] {
        assert_eq!(
            web::redirect_target(&from, Some(location)).unwrap_err().code(),
            "redirect-link-local",
            "{location}"
        );
    }
    assert!(web::redirect_target(&from, Some("http://10.0.0.2/")).is_ok());
    // Whoever names such an address in the configuration means it.
    let named = Url::parse("http://169.254.1.1/list").unwrap();
    assert!(web::redirect_target(&named, Some("/other")).is_ok());
}

#[tokio::test]
async fn bombs_and_endless_bodies_are_too_large() {
    let mut spec = url("http://lists.test/");
    spec.max_bytes = 100_000;
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let bomb = compress(encoding, &vec![0; 20_000_000]).await;
        assert!(bomb.len() < 30_000, "{encoding}");
        let site = Site::new(move |_| answer(200, &[("content-encoding", encoding)], bomb.clone())).await;
        assert_eq!(site.failure(&spec).await.code(), "too-large", "{encoding}");
    }
    let site = Site::new(|_| endless()).await;
    assert_eq!(site.failure(&spec).await.code(), "too-large");
    let site = Site::new(|_| ok(vec![b'x'; 100_001])).await;
    assert_eq!(site.failure(&spec).await.code(), "too-large");
    let site = Site::new(|_| ok(vec![b'x'; 100_000])).await;
    assert_eq!(site.documents(&spec, &Validators::default()).await.bytes(), 100_000);
    // Empty gzip members for ever decompress to nothing at all.
    let nothing = compress("gzip", b"").await;
    let site = Site::new(move |_| {
        let mut endless = streamed(futures_util::stream::repeat(nothing.clone().into()));
        endless.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        endless
    })
    .await;
    assert_eq!(site.failure(&spec).await.code(), "too-large");
}

#[tokio::test]
async fn a_body_that_stands_still_times_out() {
    let site = Site::new(|_| stuck()).await;
    let fetcher = fetcher(Duration::from_millis(300));
    let spec = url("http://lists.test/");
    let error = fetcher.fetch(&spec, &site, &Validators::default(), NOW).await.unwrap_err();
    assert_eq!(error.code(), "timeout", "{error}");
}

#[tokio::test]
async fn empty_content_is_an_error_and_a_page_is_not() {
    for body in ["", " \r\n\t"] {
        let site = Site::new(move |_| ok(body)).await;
        assert_eq!(site.failure(&url("http://lists.test/")).await.code(), "empty");
    }
    let site = Site::new(|_| ok("<!doctype html><p>blocked</p>")).await;
    assert_eq!(site.documents(&url("http://lists.test/"), &Validators::default()).await.documents.len(), 1);
}

#[tokio::test]
async fn what_is_no_url_is_refused() {
    let site = Site::new(|_| ok(LIST)).await;
    for bad in ["", "nonsense", "ftp://lists.test/", "http://", "http://lists.test:0/", "file:///etc/passwd"] {
        assert_eq!(site.failure(&url(bad)).await.code(), "bad-url", "{bad}");
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn ssconf_is_https() {
    // The site speaks no TLS: that it was tried is enough.
    let site = Site::new(|_| ok(LIST)).await;
    let error = site.failure(&url("ssconf://lists.test/key.json")).await;
    assert!(matches!(error, FetchError::Exchange { .. }), "{error:?}");
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn inline_links_are_a_document() {
    let site = Site::new(|_| ok("")).await;
    let spec =
        |links: &[&str]| SourceSpec::new("mine", SourceKind::Inline(links.iter().map(|l| Secret::new(*l)).collect()));
    let found = site.documents(&spec(&["ss://a", "ss://b"]), &Validators::default()).await;
    assert_eq!(found.documents[0].bytes, "ss://a\nss://b\n");
    assert_eq!(site.failure(&spec(&[])).await.code(), "empty");
}

#[tokio::test]
async fn fetches_are_counted() {
    let site = Site::new(|seen| if seen.path == "/bad" { answer(404, &[], "") } else { ok("0123456789") }).await;
    let metrics = FetchMetrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let tls = hezar_engine::TlsClients::new(&[]);
    let fetcher = Fetcher::new(FetchConfig::default(), tls, metrics);
    for path in ["/good", "/good", "/bad"] {
        let spec = url(&format!("http://lists.test{path}"));
        let _ = fetcher.fetch(&spec, &site, &Validators::default(), NOW).await;
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "hezar_source_fetch_total{source=\"mine\",outcome=\"ok\"} 2",
        "hezar_source_fetch_total{source=\"mine\",outcome=\"http-status\"} 1",
        "hezar_source_bytes_total{source=\"mine\"} 20",
        "hezar_source_fetch_seconds_count 3",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
}
