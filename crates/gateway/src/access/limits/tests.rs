//! Limits hold, per user and per client, and let go again.

use hezar_core::settings::ByteCount;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::User;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn config(user: Limits, client: Limits) -> GatewayConfig {
    let users = vec![User::new("alice", "p").with_limits(user)];
    GatewayConfig { users, client_limits: client, ..GatewayConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn open_requests_are_counted_until_they_end() {
    let accounts = Accounts::new();
    let two = Limits { connections: Some(2), ..Limits::default() };
    let config = config(two, Limits::default());
    let first = accounts.admit(&config, "alice", CLIENT).unwrap();
    let second = accounts.admit(&config, "alice", CLIENT).unwrap();
    assert!(matches!(accounts.admit(&config, "alice", CLIENT), Err(Refusal::UserLimit)));
    assert!(accounts.admit(&config, "bob", CLIENT).is_ok(), "the others are not concerned");
    let clone = first.clone();
    drop(first);
    assert!(accounts.admit(&config, "alice", CLIENT).is_err());
    drop(clone);
    assert!(accounts.admit(&config, "alice", CLIENT).is_ok());
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn what_is_open_in_a_process_that_drains_counts() {
    let accounts = Accounts::new();
    let two = Limits { connections: Some(2), ..Limits::default() };
    let config = config(two, Limits::default());
    let open = |user: &str, open| OpenElsewhere { user: user.into(), client: CLIENT, open };
    accounts.set_open_elsewhere(&[open("alice", 1)]);
    let first = accounts.admit(&config, "alice", CLIENT).unwrap();
    assert!(matches!(accounts.admit(&config, "alice", CLIENT), Err(Refusal::UserLimit)));
    accounts.set_open_elsewhere(&[open("alice", 1), open("alice", 1)]);
    drop(first);
    assert!(accounts.admit(&config, "alice", CLIENT).is_err());
    // What is not said again has ended.
    accounts.set_open_elsewhere(&[open("bob", 1)]);
    assert!(accounts.admit(&config, "alice", CLIENT).is_ok());
}

#[tokio::test(start_paused = true)]
async fn requests_per_second_and_client() {
    let accounts = Accounts::new();
    let ten = Limits { requests: Some(10), ..Limits::default() };
    let config = config(Limits::default(), ten);
    let let_in = |count: usize| (0..count).filter(|_| accounts.charge(&config, CLIENT).is_ok()).count();
    assert_eq!(let_in(50), 10);
    assert!(matches!(accounts.charge(&config, CLIENT), Err(Refusal::ClientLimit)));
    assert!(accounts.charge(&config, [10, 0, 0, 1].into()).is_ok());
    assert!(accounts.admit(&config, "alice", CLIENT).is_ok(), "nothing is charged twice");
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(let_in(50), 5);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(let_in(50), 10, "no more than a second's worth is saved");
}

#[tokio::test(start_paused = true)]
async fn bytes_wait() {
    let accounts = Accounts::new();
    let limits = Limits { bytes: Some(ByteCount(1000)), ..Limits::default() };
    let admission = accounts.admit(&config(limits, Limits::default()), "alice", CLIENT).unwrap();
    let (near, mut far) = duplex(1 << 20);
    let mut near = Throttled::new(near, &admission);
    let begun = Instant::now();
    let sent = tokio::spawn(async move {
        for _ in 0..60 {
            near.write_all(&[1; 100]).await.unwrap();
        }
        near
    });
    let mut got = vec![0; 6000];
    far.read_exact(&mut got).await.unwrap();
    // The first second's worth comes at once, and the last piece is waited for by nobody.
    let took = begun.elapsed();
    assert!((Duration::from_millis(4800)..Duration::from_millis(5200)).contains(&took), "{took:?}");
    drop(sent.await.unwrap());
    assert!(!Admission::default().counts_bytes());
}

fn holder(number: u32) -> AccountKey {
    AccountKey::Client(number.to_be_bytes().into())
}

#[test]
fn accounts_are_bounded() {
    let accounts = Accounts::new();
    let kept: Vec<_> = (0..10).map(|key| accounts.account(holder(key)).unwrap()).collect();
    for account in &kept {
        account.open.fetch_add(1, Relaxed);
    }
    for key in 0..200_000 {
        assert!(accounts.account(holder(key)).is_some());
        assert!(accounts.table.lock().len() <= MOST);
    }
    assert!(Arc::ptr_eq(&accounts.account(holder(3)).unwrap(), &kept[3]), "whoever has open requests stays");
}
