//! A connection that ends between a commit and its answer: what was added must not be added twice, and what was not must not be lost.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use hezar_core::UtcDay;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::place::Place;
use crate::{Access, Postgres, Store, StoreSettings, StoreUrl, UsageRow};

/// What becomes of the next commit.
const PASS: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;

/// Stands between the store and the server, and ends a connection before or after a commit reaches the server.
struct Wire {
    url: String,
    next_commit: Arc<AtomicU8>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (start, rest) = url.split_once("127.0.0.1:").unwrap();
        let (port, database) = rest.split_once('/').unwrap();
        let server = format!("127.0.0.1:{port}");
        let next_commit = Arc::new(AtomicU8::new(PASS));
        let next = Arc::clone(&next_commit);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, TcpStream::connect(server.clone()).await.unwrap(), Arc::clone(&next)));
            }
        });
        Self { url: format!("{start}{own}/{database}"), next_commit }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, next_commit: Arc<AtomicU8>) {
    let (mut up, mut down) = ([0; 16_384], [0; 16_384]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(sent @ 1..) = read else { return };
                let is_commit = up[..sent].windows(7).any(|bytes| bytes == b"COMMIT\0");
                let order = if is_commit { next_commit.swap(PASS, Ordering::SeqCst) } else { PASS };
                if order == CUT_BEFORE {
                    return;
                }
                server.write_all(&up[..sent]).await.unwrap();
                if order == CUT_AFTER {
                    // The answer comes as far as this.
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(sent @ 1..) = read else { return };
                if client.write_all(&down[..sent]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn row(user: &str, up: u64) -> UsageRow {
    UsageRow { user: user.into(), day: UtcDay(20_000), up, down: 2 * up }
}

#[tokio::test]
async fn usage_whose_commit_was_not_answered_counts_once() {
    let Some(place) = Place::postgres("usage_whose_commit_was_not_answered_counts_once") else { return };
    let wire = Wire::to(place.url()).await;
    let settings = StoreSettings { url: StoreUrl(wire.url.as_str().into()), ..StoreSettings::default() };
    let store = Postgres::open(&settings, Access::Exclusive).await.unwrap();
    let fails = async |order: u8, growth: &[UsageRow]| {
        wire.next_commit.store(order, Ordering::SeqCst);
        assert_eq!(store.add_usage(growth).await.unwrap_err().code(), "store-unreachable");
    };
    store.add_usage(&[row("alice", 1)]).await.unwrap();
    // Committed and not known; the same comes again with more, twice.
    fails(CUT_AFTER, &[row("alice", 10)]).await;
    fails(CUT_AFTER, &[row("alice", 15), row("bob", 1)]).await;
    store.add_usage(&[row("alice", 16), row("bob", 1)]).await.unwrap();
    assert_eq!(store.usage_totals().await.unwrap(), [row("alice", 17), row("bob", 1)]);
    // Not committed.
    fails(CUT_BEFORE, &[row("alice", 100)]).await;
    store.add_usage(&[row("alice", 100)]).await.unwrap();
    // A committed one, then one that is not.
    fails(CUT_AFTER, &[row("bob", 10)]).await;
    fails(CUT_BEFORE, &[row("bob", 20)]).await;
    store.add_usage(&[row("bob", 30)]).await.unwrap();
    // What is not the same again is something else.
    fails(CUT_AFTER, &[row("bob", 100)]).await;
    store.add_usage(&[row("alice", 1)]).await.unwrap();
    assert_eq!(store.usage_totals().await.unwrap(), [row("alice", 118), row("bob", 131)]);
    store.close().await;
}
