//! The small parts: bucket, trace page, verdicts, settings.

use std::io;

use hezar_core::Fault;
use hezar_engine::{NativeEngine, NativeEngineConfig};
use proptest::prelude::*;

use super::*;
use crate::{
    BodyRule, HttpCheck, ProbeConfigError, probe_error::ProbeError, token_bucket::TokenBucket, trace::parse_trace,
};

#[test]
fn the_budget_limits_starts_per_second() {
    let mut bucket = TokenBucket::new(100, at(0));
    let mut started = 0;
    for ms in 0..10_000 {
        let now = Timestamp(at(0).0 + ms);
        while bucket.has(now) {
            bucket.take();
            started += 1;
        }
        assert!(bucket.wait() <= Duration::from_millis(10));
    }
    assert!((1000..=1030).contains(&started), "{started}");
    let mut idle = 0;
    while bucket.has(at(3600)) {
        bucket.take();
        idle += 1;
    }
    assert_eq!(idle, 25, "a pause is not followed by a flood");
    let mut free = TokenBucket::new(0, at(0));
    assert!(free.has(at(0)) && free.wait().is_zero());
    let mut slow = TokenBucket::new(1, at(0));
    assert!(slow.has(at(0)));
    slow.take();
    assert!(!slow.has(at(0)));
    assert_eq!(slow.wait(), Duration::from_secs(1));
    assert!(slow.has(at(1)));
}

#[test]
fn a_trace_page_is_read() {
    let page = b"fl=1f2\nh=example.test\nip=2001:db8::7\nts=1.2\nloc=de\ntls=off\n";
    assert_eq!(parse_trace(page), Some(Exit { ip: "2001:db8::7".parse().unwrap(), country: Some(*b"DE") }));
    assert_eq!(parse_trace(b"ip = 9.9.9.9\r\nloc=XX\r\n"), Some(Exit { ip: [9, 9, 9, 9].into(), country: None }));
    assert_eq!(parse_trace(b"ip=9.9.9.9\nloc=T1"), Some(Exit { ip: [9, 9, 9, 9].into(), country: None }));
    for bad in [&b""[..], b"<html>", b"ip=", b"ip=300.1.1.1", b"loc=DE", b"\xff\xfe\0"] {
        assert_eq!(parse_trace(bad), None);
    }
}

proptest! {
    #[test]
    fn any_trace_page_is_survived(page in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_trace(&page);
    }
}

#[test]
fn verdicts_follow_the_cause() {
    let of = |stage, cause| ProbeError::classify(&DialError::new(stage, cause));
    let failed = |stage, code| {
        ProbeError::Failed(hezar_pool::Failure { fault: Fault::Node, stage, code: hezar_core::Code::new(code) })
    };
    assert_eq!(of(Stage::Connect, Cause::Refused), failed(Stage::Connect, "refused"));
    assert_eq!(of(Stage::Handshake, Cause::Authentication), failed(Stage::Handshake, "authentication"));
    let unreachable = Cause::TargetUnreachable("no");
    assert_eq!(of(Stage::Handshake, unreachable), failed(Stage::Handshake, "target-unreachable"), "of no use");
    assert_eq!(of(Stage::Resolve, Cause::ForbiddenAddress), failed(Stage::Resolve, "forbidden-address"));
    let broken = Cause::Certificate("self-signed".into());
    assert_eq!(of(Stage::Exchange, broken), ProbeError::Tampered("tampered-tls"), "a node that breaks TLS open");
    let own = Cause::Certificate("self-signed".into());
    assert_eq!(
        of(Stage::Security, own),
        failed(Stage::Security, "certificate"),
        "its own certificate is another thing"
    );
    let full = Cause::Exhausted(io::Error::from_raw_os_error(24));
    assert_eq!(of(Stage::Connect, full), ProbeError::Inconclusive("exhausted"));
    let odd = of(Stage::Handshake, Cause::Unsupported("x"));
    assert_eq!(
        odd,
        ProbeError::Inconclusive("unsupported"),
        "only a dialer that cannot be built makes a node unsupported"
    );
    let refused = Cause::CoreRefused("no such cipher".into());
    assert_eq!(of(Stage::Connect, refused), ProbeError::Unsupported("core-refused"));
    let absent = Cause::CoreUnavailable("mihomo does not run");
    assert_eq!(of(Stage::Connect, absent), ProbeError::Inconclusive(Cause::CORE_UNAVAILABLE));
    // A node that cannot be reached from here is of no use, and the guard knows when that is our own outage.
    assert_eq!(of(Stage::Connect, Cause::NoRoute), failed(Stage::Connect, "no-route"));
}

#[tokio::test]
async fn unusable_urls_are_named() {
    let url = |text: &str| Url::parse(text).unwrap();
    let pool = pool([]);
    let make = |config| {
        let engine = NativeEngine::new(&NativeEngineConfig::default());
        Prober::new(
            config,
            Arc::clone(&pool),
            Arc::new(engine.clone()),
            engine.tls(),
            None,
            Clock::starting_at(START),
            ProbeMetrics::default(),
        )
        .map(drop)
    };
    let good = ProbeConfig::new(url(ProbeConfig::URL));
    assert_eq!(make(good.clone()), Ok(()));
    let bad = url("ftp://example.test/");
    assert!(matches!(make(ProbeConfig::new(bad.clone())), Err(ProbeConfigError::Url(_))));
    let trace = ProbeConfig { trace_url: Some(bad.clone()), ..good.clone() };
    assert!(matches!(make(trace), Err(ProbeConfigError::Trace(_))));
    let control = ProbeConfig { control: vec![bad], ..good };
    assert!(matches!(make(control), Err(ProbeConfigError::Control(..))));
}

/// Answers every request with fixed bytes.
#[derive(Debug)]
struct Canned(&'static [u8]);

#[async_trait]
impl Dialer for Canned {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let answer = self.0;
        tokio::spawn(async move {
            let _ = theirs.read(&mut [0; 4096]).await;
            let _ = theirs.write_all(answer).await;
        });
        Ok(Box::new(ours))
    }
}

#[tokio::test]
async fn an_http_check_wants_its_status_and_body() {
    let tls = NativeEngine::new(&NativeEngineConfig::default()).tls().clone();
    let url = Url::parse("http://url.test/generate_204").unwrap();
    let attempt = Attempt::within(Duration::from_secs(60));
    let check = |status, body: Option<BodyRule>| HttpCheck::new(&url, status, body, tls.clone()).unwrap();
    let empty = Canned(b"HTTP/1.1 204 No Content\r\n\r\n");
    let block_page = Canned(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nblocked");
    assert!(check(Some(204), None).check(&empty, &attempt).await.is_ok());
    let error = check(Some(204), None).check(&block_page, &attempt).await.unwrap_err();
    assert_eq!((error.stage, error.code()), (Stage::Exchange, "unexpected-answer"));
    assert!(check(None, None).check(&block_page, &attempt).await.is_ok());
    let rule = |rule: BodyRule| check(Some(200), Some(rule));
    assert!(rule(BodyRule::Contains("lock".into())).check(&block_page, &attempt).await.is_ok());
    assert!(rule(BodyRule::StartsWith("block".into())).check(&block_page, &attempt).await.is_ok());
    for wrong in [BodyRule::Contains("free".into()), BodyRule::StartsWith("lock".into())] {
        let error = rule(wrong).check(&block_page, &attempt).await.unwrap_err();
        assert_eq!(error.code(), "unexpected-answer");
    }
    let closed = check(Some(204), None).check(&Canned(b""), &attempt).await.unwrap_err();
    assert_eq!(closed.stage, Stage::Exchange);
}
