//! A panic while a source is read: the source is tried again, and the others are read as ever.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hezar_core::Target;
use hezar_engine::{Attempt, BoxStream, DialError, Outbounds, OutboundsConfig};
use hezar_pool::Rules;
use hezar_store::{Access, Writer, WriterConfig};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{Config, Layers};

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
    let (writer, behind) = Writer::new(Arc::from(store), WriterConfig::default());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(behind.run(stop.clone()));
    let text = "[[source]]\nname = \"trap\"\nurl = \"http://192.0.2.1/\"\ninterval = \"1s\"\n\
                [[source]]\nname = \"good\"\nlinks = [\"socks5://11.0.0.1:1\"]\n";
    let config = Config::read(text, None, &Layers::default()).unwrap();
    let outbounds = Outbounds::new(&OutboundsConfig::default());
    let fetcher = Arc::new(Fetcher::new(spec::fetch(&config), outbounds.tls().clone(), Metrics::default()));
    let (pool, clock, trap) = (Arc::new(Nodes::new(Rules::default())), Clock::start(), Arc::new(Trap::default()));
    let board = Board::new(Vec::new(), writer);
    let reader = |source: &SourceConfig| Reader {
        source: Arc::new(source.clone()),
        via: Arc::clone(&trap) as Arc<dyn Dialer>,
        fetcher: Arc::clone(&fetcher),
        pool: Arc::clone(&pool),
        clock,
        board: board.clone(),
    };
    let readers = config.sources.iter().map(reader).collect();
    let collector = Arc::new(Collector::with(readers, board.clone(), Arc::clone(&pool), clock));
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
    let row = board.row("trap").unwrap();
    assert!(row.next_fetch.is_some() && row.failures >= 2, "{row:?}");
    stop.cancel();
    running.await.unwrap();
    writing.await.unwrap();
}
