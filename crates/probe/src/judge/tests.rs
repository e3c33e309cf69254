//! Pages of judges in the forms that there are, and what follows from them.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{HttpProxy, Label, NodeSpec, Outbound, Target, Timestamp};
use hezar_engine::{Attempt, BoxStream, DialError, Dialer, RequestForm, TlsClients};
use hezar_pool::{Anonymity, Node, Pool, PoolChange, Rules};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::{
    Judge,
    echo::{Echo, addresses},
    evidence::{Baseline, Proxy, anonymity},
};

/// Our own address, that of a proxy, and that of a front before the judge.
const OWN: &str = "198.41.0.4";
const EXIT: &str = "193.0.14.129";
const FRONT: &str = "192.33.4.12";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn page(fields: &[(&str, &str)]) -> Echo {
    let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    Echo::read(lines.concat().as_bytes())
}

#[test]
fn pages_in_all_forms_say_the_same() {
    let pages = [
        "<html><body><pre>\nREMOTE_ADDR = 9.9.9.9\nHTTP_HOST = judge.test\nHTTP_VIA = 1.1 squid (squid/5.7)\n</pre>",
        "Array\n(\n    [REMOTE_ADDR] => 9.9.9.9\n    [HTTP_HOST] => judge.test\n    [HTTP_VIA] => 1.1 squid (squid/5.7)\n)\n",
        "array(3) {\n  [\"REMOTE_ADDR\"]=>\n  string(7) \"9.9.9.9\"\n  [\"HTTP_HOST\"]=>\n  string(10) \"judge.test\"\n  \
         [\"HTTP_VIA\"]=>\n  string(22) \"1.1 squid (squid/5.7)\"\n}",
        "array (\n  'REMOTE_ADDR' => '9.9.9.9',\n  'HTTP_HOST' => 'judge.test',\n  'HTTP_VIA' => '1.1 squid (squid/5.7)',\n)",
        "<table><tr><td class=\"e\">REMOTE_ADDR </td><td class=\"v\">9.9.9.9 </td></tr><tr><td>HTTP_HOST</td><td>judge.test\
         </td></tr><tr><td><b>HTTP_VIA</b></td><td>1.1 squid (squid/5.7)</td></tr></table>",
        "REMOTE_ADDR: 9.9.9.9<br>Host: judge.test<br />Via: 1.1 squid (squid/5.7)<br>",
        r#"{"remote_addr": "9.9.9.9", "headers": {"Host": "judge.test", "Via": "1.1 squid (squid/5.7)"}}"#,
        r#"{"remote_addr": "9.9.9.9", "headers": {"Host": ["judge.test"], "Via": ["1.1 squid (squid/5.7)"]}}"#,
        r#"[["remote-addr", "9.9.9.9"], ["host", "judge.test"], ["via", "1.1 squid (squid/5.7)"]]"#,
        r#"{"h": [{"name": "Remote-Addr", "value": "9.9.9.9"}, {"name": "Host", "value": "judge.test"},
            {"name": "Via", "value": "1.1 squid (squid/5.7)"}]}"#,
    ];
    for text in pages {
        let echo = Echo::read(text.as_bytes());
        for (name, value) in [("remote-addr", "9.9.9.9"), ("host", "judge.test"), ("via", "1.1 squid (squid/5.7)")] {
            assert_eq!(echo.values(name).collect::<Vec<_>>(), [value], "{name} in {text}");
        }
    }
    assert_eq!(Echo::read(b"<h1>It works!</h1><p>Nothing to see: here").fields().count(), 0);
}

#[test]
fn addresses_are_found_in_lists_with_ports_and_brackets() {
    let found = |text| addresses(text).collect::<Vec<_>>();
    assert_eq!(found("9.9.9.9, 8.8.8.8:80,unknown"), [ip("9.9.9.9"), ip("8.8.8.8")]);
    assert_eq!(found("for=\"[2620:fe::9]:4711\";proto=http, for=9.9.9.9"), [ip("2620:fe::9"), ip("9.9.9.9")]);
    assert_eq!(found("::ffff:9.9.9.9"), [ip("9.9.9.9")]);
    assert_eq!(found("1.1 squid (squid/5.7)"), [] as [IpAddr; 0]);
}

proptest! {
    #[test]
    fn any_page_is_survived(page in prop::collection::vec(any::<u8>(), 0..300), tags in "[<>/tdrb=:'\" \\[\\]a\n]{0,200}") {
        for page in [&page[..], tags.as_bytes()] {
            let echo = Echo::read(page);
            let _ = (anonymity(&echo, &Proxy::default(), None), Baseline::of_direct(&echo));
        }
    }
}

#[test]
fn our_address_makes_a_proxy_transparent_and_a_mark_makes_it_anonymous() {
    let direct = Baseline::of_direct(&page(&[("REMOTE_ADDR", OWN), ("HTTP_HOST", "judge.test")]));
    let through = |more: &[(&str, &str)]| {
        let fields =
            [&[("REMOTE_ADDR", EXIT), ("HTTP_HOST", "judge.test"), ("HTTP_CONNECTION", "close")], more].concat();
        anonymity(&page(&fields), &Proxy::default(), Some(&direct))
    };
    assert_eq!(through(&[]), Anonymity::Elite);
    assert_eq!(through(&[("HTTP_X_FORWARDED_FOR", OWN)]), Anonymity::Transparent);
    assert_eq!(through(&[("HTTP_FORWARDED", "for=\"198.41.0.4:5000\"")]), Anonymity::Transparent);
    assert_eq!(through(&[("HTTP_X_LOOKUP", "10.0.0.1, 198.41.0.4")]), Anonymity::Transparent, "under any name");
    assert_eq!(through(&[("HTTP_VIA", "1.1 squid")]), Anonymity::Anonymous);
    assert_eq!(through(&[("HTTP_X_FORWARDED_FOR", "unknown")]), Anonymity::Anonymous);
    assert_eq!(through(&[("HTTP_X_FORWARDED_FOR", EXIT)]), Anonymity::Anonymous);
    assert_eq!(through(&[("HTTP_PROXY_CONNECTION", "keep-alive")]), Anonymity::Anonymous);
    assert_eq!(through(&[("HTTP_VIA", "")]), Anonymity::Elite, "CGI scripts print fields that are not there");
}

#[test]
fn what_a_front_adds_to_every_request_is_no_evidence() {
    let host = ("Host", "judge.test");
    let direct = page(&[("REMOTE_ADDR", FRONT), host, ("X-Forwarded-For", OWN), ("Via", "1.1 front")]);
    let direct = Baseline::of_direct(&direct);
    let through = |forwarded, via| {
        let fields = [("REMOTE_ADDR", FRONT), host, ("X-Forwarded-For", forwarded), ("Via", via)];
        anonymity(&page(&fields), &Proxy::default(), Some(&direct))
    };
    assert_eq!(through(EXIT, "1.1 front"), Anonymity::Elite);
    assert_eq!(through(EXIT, "1.1 squid, 1.1 front"), Anonymity::Anonymous);
    assert_eq!(through("unknown, 193.0.14.129", "1.1 front"), Anonymity::Anonymous);
    assert_eq!(through("198.41.0.4, 193.0.14.129", "1.1 front"), Anonymity::Transparent);
}

#[test]
fn without_a_direct_request_a_strange_address_is_taken_for_ours() {
    let proxy = Proxy { own: vec![ip("8.8.4.4")], is_near: false };
    let through = |more: (&str, &str), proxy: &Proxy| {
        anonymity(&page(&[("REMOTE_ADDR", EXIT), ("Host", "judge.test"), more]), proxy, None)
    };
    assert_eq!(through(("X-Forwarded-For", OWN), &proxy), Anonymity::Transparent);
    assert_eq!(through(("X-Forwarded-For", EXIT), &proxy), Anonymity::Anonymous, "the address that it comes out at");
    assert_eq!(through(("X-Real-IP", "8.8.4.4"), &proxy), Anonymity::Anonymous, "its own server");
    assert_eq!(through(("X-Forwarded-For", "10.1.2.3"), &proxy), Anonymity::Anonymous, "ours is no private one there");
    let near = Proxy { is_near: true, ..proxy };
    assert_eq!(through(("X-Forwarded-For", "10.1.2.3"), &near), Anonymity::Transparent, "on our own network it is");
    assert_eq!(through(("Accept", "*/*"), &near), Anonymity::Elite);
}

#[test]
fn a_proxy_that_comes_out_at_our_own_address_is_judged_by_what_it_adds() {
    let direct = Baseline::of_direct(&page(&[("REMOTE_ADDR", OWN), ("Host", "judge.test")]));
    let seen = page(&[("REMOTE_ADDR", OWN), ("Host", "judge.test"), ("REMOTE_NAME", OWN)]);
    assert_eq!(anonymity(&seen, &Proxy::default(), Some(&direct)), Anonymity::Elite);
    let told = page(&[("REMOTE_ADDR", OWN), ("Host", "judge.test"), ("X-Forwarded-For", OWN)]);
    assert_eq!(anonymity(&told, &Proxy::default(), Some(&direct)), Anonymity::Transparent);
}

/// Answers every request with one page.
#[derive(Debug)]
struct Page {
    text: String,
    asked: AtomicUsize,
}

impl Page {
    fn new(body: &str) -> Arc<Self> {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Arc::new(Self { text, asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Dialer for Page {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.asked.fetch_add(1, Relaxed);
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let text = self.text.clone();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await?);
            }
            theirs.write_all(text.as_bytes()).await
        });
        Ok(Box::new(ours))
    }

    async fn connect_for_http(&self, to: &Target, attempt: &Attempt) -> Result<(BoxStream, RequestForm), DialError> {
        Ok((self.connect(to, attempt).await?, RequestForm::Origin))
    }
}

fn http_node() -> Arc<Node<()>> {
    let pool = Pool::new(Rules::default());
    let outbound = Outbound::Http(HttpProxy { credentials: None, tls: None });
    let spec = NodeSpec::new(Target::parse("8.8.4.4:8080").unwrap(), outbound);
    let id = spec.id();
    let nodes = vec![(spec, Label::default())];
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, Timestamp(1));
    pool.node(id).unwrap()
}

fn judge() -> Judge {
    Judge::new(&Url::parse("http://judge.test/").unwrap(), TlsClients::new(&[])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_judge_is_asked_directly_once_an_hour() {
    let (judge, node) = (judge(), http_node());
    assert!(judge.concerns(&node));
    let direct = Page::new("REMOTE_ADDR = 198.41.0.4\nHTTP_HOST = judge.test");
    // An address of nobody: only the direct request shows that it is not ours.
    let via = Page::new("REMOTE_ADDR = 193.0.14.129\nHTTP_HOST = judge.test\nHTTP_X_FORWARDED_FOR = 199.7.83.42");
    let ask = |direct: Option<Arc<dyn Dialer>>| {
        judge.anonymity(&node, None, &*via, direct, || Attempt::within(Duration::from_secs(5)))
    };
    assert_eq!(ask(None).await.unwrap(), Anonymity::Transparent);
    for _ in 0..3 {
        assert_eq!(ask(Some(direct.clone())).await.unwrap(), Anonymity::Anonymous);
    }
    assert_eq!((direct.asked.load(Relaxed), via.asked.load(Relaxed)), (1, 4));
    tokio::time::advance(Duration::from_secs(3601)).await;
    ask(Some(direct.clone())).await.unwrap();
    assert_eq!(direct.asked.load(Relaxed), 2, "our own address may have changed");
}

#[tokio::test]
async fn a_page_that_echoes_nothing_says_nothing() {
    let (judge, node) = (judge(), http_node());
    for body in ["", "<h1>Welcome</h1>", "HTTP_HOST = other.test\nHTTP_VIA = 1.1 squid", "{\"headers\": {}}"] {
        let result =
            judge.anonymity(&node, None, &*Page::new(body), None, || Attempt::within(Duration::from_secs(5))).await;
        assert!(result.is_err(), "{body:?}");
    }
    let secure = Url::parse("https://judge.test/").unwrap();
    assert!(Judge::new(&secure, TlsClients::new(&[])).is_err(), "nobody adds anything inside TLS");
}
