//! A thousand sessions over three hundred exits, through node deaths and a restart of everything.

use std::collections::HashSet;

use hezar_core::{Fault, Label, NodeId, Stage};
use hezar_pool::{Exit, Origin, Outcome, PoolChange, Query, Rules, Strategy, Success};
use hezar_store::Access;

use super::*;

const EXITS: u8 = 100;
const NODES: u16 = 900;

/// Node `n`, and the exit that it shares with two others.
fn link(n: u16) -> String {
    let [a, b] = n.to_be_bytes();
    format!("socks5://11.0.{a}.{b}:1080")
}

fn exit(n: u16) -> [u8; 4] {
    let exit = n % 300;
    [9, 0, (exit / u16::from(EXITS)) as u8, (exit % u16::from(EXITS)) as u8]
}

fn pool(numbers: impl Iterator<Item = u16>) -> (Arc<Nodes>, Vec<NodeId>) {
    let pool = Arc::new(Nodes::new(Rules::default()));
    let specs: Vec<_> = numbers.map(|n| (n, hezar_formats::parse_link(&link(n)).unwrap().0)).collect();
    let nodes = specs.iter().map(|(_, spec)| (spec.clone(), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, Timestamp(1));
    for (n, spec) in &specs {
        let exit = Some(Exit { ip: exit(*n).into(), country: None });
        let success = Success { latency: Duration::from_millis(50), exit };
        pool.report(spec.id(), &Outcome { origin: Origin::Probe, result: Ok(success) }, Timestamp(2));
    }
    (pool, specs.into_iter().map(|(_, spec)| spec.id()).collect())
}

fn kill(pool: &Nodes, id: NodeId) {
    let failure = Outcome::failure(Origin::Probe, Fault::Node, Stage::Connect, "refused");
    (0..3).for_each(|_| pool.report(id, &failure, Timestamp(3)));
}

/// Where each session comes out now.
fn exits(sessions: &Sessions, pool: &Nodes, now: Timestamp) -> HashMap<Box<str>, ExitKey> {
    let exit = |session: &Session| {
        let key = Some(session.pool_key());
        let query = Query { strategy: Strategy::RoundRobin, session: key, ..Query::default() };
        (session.session.clone(), pool.pick(&query, 7).unwrap().exit())
    };
    sessions.list(now).iter().map(exit).collect()
}

#[tokio::test]
async fn sessions_keep_their_exits_through_deaths_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
    let clock = Clock::start();
    let now = clock.now();
    let (before, ids) = pool(0..NODES);
    let sessions = Arc::new(Sessions::new(2000));
    let mut session_sync = SessionSync::new(Arc::clone(&sessions), Arc::clone(&before), clock, Vec::new());
    for n in 0..1000 {
        let lasts = Duration::from_secs(3600);
        let (began, ends) = (now, now.after(lasts));
        let name = format!("s{n}").into();
        let session =
            Session { listener: "proxy".into(), user: "u".into(), session: name, country: None, began, ends, lasts };
        sessions.restore(session, now);
    }
    let home = exits(&sessions, &before, now);
    assert_eq!(home.len(), 1000);
    store.write(&session_sync.changes(now)).await.unwrap();
    // Two of the three nodes behind every exit die, and all three behind the first thirty.
    (300..900).chain(0..30).for_each(|n: usize| kill(&before, ids[n]));
    let lost: HashSet<ExitKey> = (0..30).map(|n| ExitKey::from_ip(exit(n).into())).collect();
    let then = exits(&sessions, &before, now);
    for (session, exit) in &home {
        assert_eq!(then[session] == *exit, !lost.contains(exit), "{session}");
    }
    let changes = session_sync.changes(now);
    assert!(!changes.is_empty() && changes.len() < 1000, "{} rows for what has moved", changes.len());
    store.write(&changes).await.unwrap();
    assert!(session_sync.changes(now).is_empty(), "nothing moves, nothing is written");

    // Another process: other slots, the rows of the store, and the nodes that live.
    let rows = store.load().await.unwrap().sessions;
    let (after, _) = pool((30..300).rev());
    let again = Arc::new(Sessions::new(2000));
    let mut session_sync = SessionSync::new(Arc::clone(&again), Arc::clone(&after), clock, rows);
    assert_eq!(exits(&again, &after, now), then, "every session comes out where it did");
    assert!(session_sync.changes(now).iter().all(|change| matches!(change, Change::PutSession(_))));
    // A session that is ended leaves the store.
    again.end(again.list(now)[0].id());
    store.write(&session_sync.changes(now)).await.unwrap();
    assert_eq!(store.load().await.unwrap().sessions.len(), 999);
}

/// Else two gateways in two regions would write the row in turn for ever.
#[test]
fn a_node_that_comes_out_elsewhere_here_does_not_change_the_row_of_another_gateway() {
    let (pool, ids) = pool(0..1);
    let elsewhere = IpAddr::from([9, 9, 9, 9]);
    let stored = SessionRow {
        name: SessionName { listener: "proxy".into(), user: "u".into(), session: "s".into() },
        country: None,
        began: Timestamp(10),
        ends: Timestamp(1_000),
        lasts: Duration::from_millis(990),
        exit_ip: Some(elsewhere),
        node: Some(ids[0]),
    };
    let sessions = Sessions::new(10);
    restore(&sessions, &pool, &stored, Timestamp(20));
    let [running] = &sessions.list(Timestamp(20))[..] else { panic!() };
    assert_eq!(row(&pool, running, Some(&stored)), stored);
}
