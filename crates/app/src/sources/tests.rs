//! Sources that are read over several routes, and a panic while one is read.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hezar_core::{NodeSpec, Target, Timestamp};
use hezar_engine::{
    AddressPolicy, Attempt, BoxStream, BuildError, Clock, DialError, Dialer, Engine, NativeEngine, NativeEngineConfig,
};
use hezar_fetch::{Fetcher, Via};
use hezar_pool::{PoolChange, Rules};
use hezar_store::{Access, WriterConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::{pool_dialer::FetchRoutes, upstream::FeedContent, *};
use crate::{
    config::{Config, Layers},
    convert,
    nodes::Nodes,
};

/// Panics whenever it is used.
#[derive(Debug, Default)]
struct Trap(AtomicU32);

#[async_trait]
impl Dialer for Trap {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    }
}

#[tokio::test]
async fn a_source_whose_reading_panics_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let text = "[[source]]\nname = \"trap\"\nurl = \"http://192.0.2.1/\"\ninterval = \"1s\"\n\
                [[source]]\nname = \"good\"\nlinks = [\"socks5://11.0.0.1:1\"]\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let fetcher = Arc::new(Fetcher::new(convert::fetch(&config), engine.tls().clone(), FetchMetrics::default()));
    let (pool, clock, trap) = (Arc::new(Nodes::new(Rules::default())), Clock::start(), Arc::new(Trap::default()));
    let table = SourceTable::new(Vec::new(), writer);
    let reader = |source: &SourceConfig| Reader {
        source: Arc::new(source.clone()),
        routes: FetchRoutes::only(Arc::clone(&trap) as Arc<dyn Dialer>),
        fetcher: Arc::clone(&fetcher),
        pool: Arc::clone(&pool),
        clock,
        table: table.clone(),
        retired: Arc::default(),
        provided: ProvidedLists::default(),
        tls: engine.tls().clone(),
        upstream: None,
    };
    let readers = config.sources.iter().map(reader).collect();
    let factory = ReaderFactory {
        tls: engine.tls().clone(),
        engine: Arc::new(engine),
        pool: Arc::clone(&pool),
        clock,
        metrics: FetchMetrics::default(),
        table: table.clone(),
        provided: ProvidedLists::default(),
        upstreams: Upstreams::new("0".repeat(32).into()),
    };
    let collector = Arc::new(Collector::with(readers, factory));
    assert_eq!(collector.fetch_now(&["absent".into()]).unwrap_err(), FetchNowError::Unknown("absent".into()));

    let (running, ended) = (Arc::clone(&collector), stop.clone());
    let running = tokio::spawn(async move { running.run(&ended).await });
    // It was read when the collector began; asked for again, it is read again, and fails with its code again.
    for _ in 0..2 {
        let (asked, mut readings) = collector.fetch_now(&["trap".into()]).unwrap();
        let reading = readings.recv().await.unwrap();
        assert_eq!((asked, &*reading.row.error.unwrap().code), (1, PANICKED));
    }
    assert!(trap.0.load(Ordering::Relaxed) >= 2);
    let (asked, mut readings) = collector.fetch_now(&[]).unwrap();
    let mut names = Vec::new();
    while let Some(reading) = readings.recv().await {
        names.push(reading.row.name.to_string());
    }
    names.sort();
    assert_eq!((asked, names), (2, vec!["good".to_owned(), "trap".to_owned()]));
    assert_eq!(pool.snapshot().counts().total(), 1);
    let row = table.row("trap").unwrap();
    assert!(row.next_fetch.is_some() && row.failures >= 2, "{row:?}");
    // Nobody else writes a source's row: what its last reading says is what the table and the store hold.
    let (_, mut readings) = collector.fetch_now(&["good".into()]).unwrap();
    let reading = readings.recv().await.unwrap();
    assert!(reading.row.next_fetch.is_some() && reading.row.last_ok.is_some());
    assert_eq!(table.row("good").as_ref(), Some(&reading.row));
    stop.cancel();
    running.await.unwrap();
    assert_eq!(table.row("good").as_ref(), Some(&reading.row));
    writing.await.unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let rows = store.load().await.unwrap().sources;
    assert_eq!(rows.iter().find(|row| &*row.name == "good"), Some(&reading.row));
}

/// A web server behind every name, which answers every request with the same bytes, after counting it.
#[derive(Debug)]
struct Site {
    answer: &'static str,
    asked: AtomicU32,
}

impl Site {
    fn new(answer: &'static str) -> Arc<Self> {
        Arc::new(Self { answer, asked: AtomicU32::new(0) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Dialer for Site {
    async fn connect(&self, _: &Target, _: &Attempt) -> Result<BoxStream, DialError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let answer = self.answer;
        tokio::spawn(async move {
            let mut request = [0; 1024];
            let _ = theirs.read(&mut request).await;
            let _ = theirs.write_all(answer.as_bytes()).await;
        });
        Ok(Box::new(ours))
    }
}

/// The direct way gives a blocked page, so that the pool's way is taken, and comes first from then on.
#[tokio::test]
async fn a_blocked_source_is_read_over_the_other_route() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let blocked = Site::new("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<p>blocked</p>");
    let list = Site::new(
        "HTTP/1.1 200 OK\r\nSubscription-Userinfo: total=5\r\nContent-Length: 22\r\n\r\nsocks5://11.0.0.1:1080",
    );
    let text = "[[source]]\nname = \"mine\"\nurl = \"http://lists.test/\"\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let mut reader = Reader {
        source: Arc::new(config.sources[0].clone()),
        routes: FetchRoutes::either(blocked.clone(), list.clone()),
        fetcher: Arc::new(Fetcher::new(convert::fetch(&config), engine.tls().clone(), FetchMetrics::default())),
        pool: Arc::new(Nodes::new(Rules::default())),
        clock: Clock::start(),
        table: SourceTable::new(Vec::new(), writer),
        retired: Arc::default(),
        provided: ProvidedLists::default(),
        tls: NativeEngine::new(&NativeEngineConfig::default()).tls().clone(),
        upstream: None,
    };
    for expected in [(1, 1), (1, 2)] {
        let reading = reader.clone().read().await;
        assert_eq!((reading.row.nodes, reading.row.error), (1, None));
        assert_eq!(reading.row.subscription.as_deref(), Some("{\"total\":5}"));
        assert_eq!((blocked.asked(), list.asked()), expected);
    }
    // When no route gives anything, the failure of the one that was tried first is told.
    reader.routes = FetchRoutes::either(blocked.clone(), Site::new("HTTP/1.1 404 Not Found\r\n\r\n"));
    let error = reader.clone().read().await.row.error.unwrap();
    assert_eq!(&*error.code, NO_NODES);
    assert!(error.text.contains("web page"), "{}", error.text);
    // Who asks to be left alone is not asked again by another way.
    let limited = Site::new("HTTP/1.1 429 Too Many Requests\r\n\r\n");
    reader.routes = FetchRoutes::either(limited, list.clone());
    let before = list.asked();
    assert_eq!(&*reader.clone().read().await.row.error.unwrap().code, "rate-limited");
    assert_eq!(list.asked(), before);
    drop(reader);
    stop.cancel();
    writing.await.unwrap();
}

/// A stranger never sees the token of a plain URL.
#[test]
fn only_what_tls_protects_goes_over_the_pool_by_itself() {
    let text = "[[source]]\nname = \"a\"\nurl = \"https://lists.test/\"\n\
                [[source]]\nname = \"b\"\nurl = \"http://lists.test/?token=1\"\n\
                [[source]]\nname = \"c\"\ngithub = \"a/b\"\n\
                [[source]]\nname = \"d\"\nfile = \"list.txt\"\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let protected: Vec<bool> = config.sources.iter().map(|source| source.origin.is_protected(&config.fetch)).collect();
    assert_eq!(protected, [true, false, true, false]);
    assert!(config.sources.iter().all(|source| source.via == Via::Auto));
}

/// Sites by their hosts instead of this machine's own sockets; it builds no nodes.
#[derive(Clone, Debug)]
struct SitesByHost(HashMap<String, Arc<Site>>);

#[async_trait]
impl Dialer for SitesByHost {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.0[&target.host().to_string()].connect(target, attempt).await
    }
}

impl Engine for SitesByHost {
    fn dialer(&self, _: &NodeSpec, _: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        Err(BuildError::Unsupported("nodes"))
    }

    fn direct(&self, _: AddressPolicy) -> Arc<dyn Dialer> {
        Arc::new(self.clone())
    }
}

#[tokio::test]
async fn a_source_that_moves_to_another_url_leaves_its_old_nodes_behind_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let list = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 22\r\n\r\nsocks5://11.0.0.1:1080";
    let sites = [("old.test", Site::new(list)), ("new.test", Site::new("HTTP/1.1 404 Not Found\r\n\r\n"))];
    let sites = SitesByHost(sites.into_iter().map(|(host, site)| (host.to_owned(), site)).collect());
    let config = |host: &str, interval: &str| {
        let text = format!(
            "[[source]]\nname = \"mine\"\nurl = \"http://{host}/\"\nvia = \"direct\"\ninterval = \"{interval}\"\n"
        );
        Config::read(&text, None, &Layers::default()).unwrap()
    };
    let pool = Arc::new(Nodes::new(Rules::default()));
    let table = SourceTable::new(Vec::new(), writer);
    let factory = ReaderFactory {
        pool: Arc::clone(&pool),
        engine: Arc::new(sites),
        tls: NativeEngine::new(&NativeEngineConfig::default()).tls().clone(),
        clock: Clock::start(),
        metrics: FetchMetrics::default(),
        table: table.clone(),
        provided: ProvidedLists::default(),
        upstreams: Upstreams::new("0".repeat(32).into()),
    };
    let collector = Collector::with(factory.readers(&config("old.test", "1h"), &[], true), factory);
    collector.once(&[], |_| ()).await.unwrap();
    let count = || pool.snapshot().counts().total();
    assert_eq!((count(), table.row("mine").unwrap().nodes), (1, 1));
    // The same place with another interval keeps what it has listed, another place does not.
    collector.apply(&config("old.test", "2h"), false).await.unwrap();
    assert_eq!(count(), 1);
    collector.apply(&config("new.test", "2h"), false).await.unwrap();
    assert_eq!((count(), table.row("mine")), (0, None));
    // Nothing that was learned of the old place is said about the new one.
    let readings = collector.once(&[], |_| ()).await.unwrap();
    let row = &readings[0].row;
    assert!(row.error.is_some() && row.last_ok.is_none() && row.validators.is_none() && row.nodes == 0, "{row:?}");
    drop((collector, table));
    stop.cancel();
    writing.await.unwrap();
}

/// As one that is ending does, and one that means us ill.
#[tokio::test]
async fn a_feed_that_never_waits_is_asked_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, _behind) = Writer::new(store, WriterConfig::default());
    let hasty = Site::new("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"changed\":false}");
    let text = "[[source]]\nname = \"first\"\nhezar = \"http://first.test/\"\ntoken = \"hz_x\"\nvia = \"direct\"\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let own_name = "0".repeat(32);
    let factory = ReaderFactory {
        pool: Arc::new(Nodes::new(Rules::default())),
        engine: Arc::new(SitesByHost([("first.test".to_owned(), Arc::clone(&hasty))].into())),
        tls: NativeEngine::new(&NativeEngineConfig::default()).tls().clone(),
        clock: Clock::start(),
        metrics: FetchMetrics::default(),
        table: SourceTable::new(Vec::new(), writer),
        provided: ProvidedLists::default(),
        upstreams: Upstreams::new(own_name.as_str().into()),
    };
    let collector = Arc::new(Collector::with(factory.readers(&config, &[], true), factory));
    let head = format!("{{\"instance\":\"{}\",\"cursor\":\"a-7\",\"whole\":true}}\n", "1".repeat(32));
    let content = FeedContent::read(head.as_bytes(), &own_name, Timestamp(1)).unwrap();
    collector.upstreams().get("first").unwrap().note(&content, Timestamp(1), |_| true);
    tokio::time::pause();
    let (stop, ten_seconds) = (CancellationToken::new(), std::time::Duration::from_secs(10));
    assert!(tokio::time::timeout(ten_seconds, collector.follow_feeds(&stop)).await.is_err());
    assert!((5..=11).contains(&hasty.asked()), "{}", hasty.asked());
}

/// The schedule would read it much later: everything was read shortly before the end.
#[tokio::test]
async fn a_feed_is_followed_at_once_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let body = format!(
        "{{\"instance\":\"{}\",\"cursor\":\"a-7\",\"whole\":true}}\n{{\"id\":\"x\",\"link\":\"socks5://11.0.0.1:1080\"}}\n",
        "1".repeat(32)
    );
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let site = Site::new(Box::leak(answer.into_boxed_str()));
    let text = "[[source]]\nname = \"first\"\nhezar = \"http://first.test/\"\ntoken = \"hz_x\"\nvia = \"direct\"\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let (pool, clock) = (Arc::new(Nodes::new(Rules::default())), Clock::start());
    let next = clock.now().after(std::time::Duration::from_secs(1700));
    let row = SourceRow { next_fetch: Some(next), ..SourceRow::new("first", "hezar") };
    let factory = ReaderFactory {
        pool: Arc::clone(&pool),
        engine: Arc::new(SitesByHost([("first.test".to_owned(), site)].into())),
        tls: NativeEngine::new(&NativeEngineConfig::default()).tls().clone(),
        clock,
        metrics: FetchMetrics::default(),
        table: SourceTable::new(vec![row], writer),
        provided: ProvidedLists::default(),
        upstreams: Upstreams::new("0".repeat(32).into()),
    };
    let collector = Arc::new(Collector::with(factory.readers(&config, &[], true), factory));
    let (running, following) = (Arc::clone(&collector), Arc::clone(&collector));
    let (running_end, following_end) = (stop.clone(), stop.clone());
    let running = tokio::spawn(async move { running.run(&running_end).await });
    let following = tokio::spawn(async move { following.follow_feeds(&following_end).await });
    let listed = async {
        while pool.snapshot().counts().total() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), listed).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    following.await.unwrap();
    drop(collector);
    writing.await.unwrap();
}

/// As a file of a repository does when the host answers with a page about an error.
#[tokio::test]
async fn a_file_that_has_become_a_page_takes_no_node_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let text = format!("[[source]]\nname = \"mine\"\nfile = \"{}/*.txt\"\n", folder.path().display());
    let config = Config::read(&text, None, &Layers::default()).unwrap();
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let pool = Arc::new(Nodes::new(Rules::default()));
    let reader = Reader {
        source: Arc::new(config.sources[0].clone()),
        routes: FetchRoutes::only(Site::new("")),
        fetcher: Arc::new(Fetcher::new(convert::fetch(&config), engine.tls().clone(), FetchMetrics::default())),
        pool: Arc::clone(&pool),
        clock: Clock::start(),
        table: SourceTable::new(Vec::new(), writer),
        retired: Arc::default(),
        provided: ProvidedLists::default(),
        tls: NativeEngine::new(&NativeEngineConfig::default()).tls().clone(),
        upstream: None,
    };
    let listed = || pool.snapshot().nodes().filter(|node| node.listed_by("mine")).count();
    write("a.txt", "socks5://11.0.0.1:1080");
    write("b.txt", "socks5://11.0.0.2:1080");
    reader.clone().read().await;
    assert_eq!(listed(), 2);
    write("a.txt", "socks5://11.0.0.3:1080\n");
    write("b.txt", "<!DOCTYPE html><title>Service unavailable</title>");
    let row = reader.clone().read().await.row;
    assert_eq!((listed(), row.error), (3, None), "whether a.txt has lost a node is not known either");
    write("a.txt", "socks5://11.0.0.4:1080\n\n");
    write("b.txt", "# a list again, and shorter\n");
    reader.clone().read().await;
    assert_eq!(listed(), 1, "a whole list takes the place of the one before");
    drop(reader);
    stop.cancel();
    writing.await.unwrap();
}

/// As a Tor client does: what it lists replaces what it has listed before, at once.
#[tokio::test]
async fn what_is_provided_is_listed_and_what_is_provided_no_more_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let (writer, behind) = Writer::new(store, WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let config = |count| {
        Config::read(&format!("[[source]]\nname = \"tor\"\ntor = {count}\n"), None, &Layers::default()).unwrap()
    };
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let pool = Arc::new(Nodes::new(Rules::default()));
    let table = SourceTable::new(Vec::new(), writer);
    let factory = ReaderFactory {
        tls: engine.tls().clone(),
        engine: Arc::new(engine),
        pool: Arc::clone(&pool),
        clock: Clock::start(),
        metrics: FetchMetrics::default(),
        table: table.clone(),
        provided: ProvidedLists::default(),
        upstreams: Upstreams::new("0".repeat(32).into()),
    };
    let collector = Collector::with(factory.readers(&config(2), &[], true), factory);
    let provide = |provided| assert!(collector.provide("tor", provided).is_ok());
    let read = || async { collector.once(&[], |_| ()).await.unwrap().remove(0).row };
    assert_eq!(read().await.error.unwrap().code, TOR_NOT_READY.into());
    let links = |users: [&str; 2]| {
        Provided::Links(users.map(|user| format!("tor://{user}:x@127.0.0.1:9050#{user}").as_str().into()).into())
    };
    provide(links(["a", "b"]));
    assert_eq!((read().await.nodes, pool.snapshot().counts().total()), (2, 2));
    assert!(pool.snapshot().nodes().all(|node| node.allow_private()), "the client is on this machine");
    provide(links(["a", "c"]));
    let row = read().await;
    let mut labels: Vec<_> = pool.snapshot().nodes().map(|node| node.label().to_string()).collect();
    labels.sort();
    assert_eq!((row.error, labels), (None, vec!["a".to_owned(), "c".to_owned()]));
    // A client that starts again says why it has no circuits; its nodes stay.
    provide(Provided::Nothing { code: TOR_FAILED, text: "it ended".to_owned() });
    assert_eq!(read().await.error.unwrap().text, "it ended".into());
    assert_eq!(pool.snapshot().counts().total(), 2);
    // More circuits of the same client are no other place.
    collector.apply(&config(3), false).await.unwrap();
    assert_eq!(pool.snapshot().counts().total(), 2);
    assert!(collector.provide("other", links(["a", "b"])).is_err());
    drop((collector, table));
    stop.cancel();
    writing.await.unwrap();
}

/// A list of this many nodes from a source named `list`.
fn grow(pool: &Nodes, nodes: usize) {
    let node = |n: usize| {
        let link = format!("socks5://user{n}:x@192.0.2.1:1080");
        (hezar_formats::parse_link(&link).unwrap().0, hezar_core::Label::default())
    };
    let nodes = (0..nodes).map(node).collect();
    let list = PoolChange::List { source: "list".into(), allow_private: false, nodes, complete: true };
    pool.apply(list, Timestamp(1));
}

/// Whoever asks for the counts of a large pool gets the last ones at once, and a small pool is counted when somebody asks.
#[tokio::test]
async fn the_counts_of_a_large_pool_are_made_beside_the_requests() {
    let directory = tempfile::tempdir().unwrap();
    let store = hezar_store::Sqlite::open(&directory.path().join("hezar.db"), Access::Exclusive).await.unwrap();
    let (writer, _task) = Writer::new(Arc::new(store), WriterConfig::default());
    let table = SourceTable::new(Vec::new(), writer.clone());
    let pool = Nodes::new(Rules::default());
    grow(&pool, 10);
    table.renew_census(pool.snapshot()).await;
    let small = table.census(&pool.snapshot());
    assert_eq!(small.schemes.get("socks5"), Some(&10));
    grow(&pool, 6000);
    assert!(Arc::ptr_eq(&small, &table.census(&pool.snapshot())), "a walk over many nodes is not for a request");
    let fresh = SourceTable::new(Vec::new(), writer);
    fresh.renew_census(pool.snapshot()).await;
    let large = fresh.census(&pool.snapshot());
    assert_eq!((large.schemes.get("socks5"), large.listed["list"].nodes), (Some(&6000), 6000));
    grow(&pool, 5999);
    assert!(Arc::ptr_eq(&large, &fresh.census(&pool.snapshot())));
    fresh.renew_census(pool.snapshot()).await;
    assert!(Arc::ptr_eq(&large, &fresh.census(&pool.snapshot())), "not before its time");
}
