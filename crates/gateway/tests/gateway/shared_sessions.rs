//! Several gateways serve the same sessions: the first that begins one decides where it comes out, and nobody waits for long.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hezar_core::{NodeId, Timestamp};
use hezar_gateway::{Session, SharedSession, SharedSessions};
use hezar_pool::Pinned;
use parking_lot::Mutex;

use crate::{
    clients::*,
    world::{Does, World, config, world_with},
};

/// What the table of all gateways does.
#[derive(Clone, Copy, Debug)]
enum Table {
    /// Another gateway has begun every session a moment ago, and pinned it to this node.
    HasAnother(NodeId),
    /// It takes everything that is entered.
    Takes,
    /// It cannot be asked.
    Away,
    /// It never answers.
    Hangs,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    entered: Mutex<Vec<(Session, Pinned)>>,
}

#[async_trait]
impl SharedSessions for Shared {
    async fn enter(&self, session: &Session, pinned: Pinned) -> Option<SharedSession> {
        self.entered.lock().push((session.clone(), pinned));
        match self.table {
            Table::HasAnother(node) => {
                let session = Session { began: Timestamp(session.began.0 - 500), ..session.clone() };
                Some(SharedSession { session, pinned: Some(Pinned { node, ..pinned }) })
            }
            Table::Takes => Some(SharedSession { session: session.clone(), pinned: Some(pinned) }),
            Table::Away => None,
            Table::Hangs => std::future::pending().await,
        }
    }
}

async fn shared(table: impl FnOnce(&[NodeId]) -> Table) -> (World, Arc<Shared>) {
    let servers: Vec<_> = (1..=8).map(|n| format!("192.0.2.{n}:1080")).collect();
    let nodes: Vec<_> = servers.iter().map(|server| (server.as_str(), Does::Web)).collect();
    let mut shared = None;
    let world = world_with(config(), &nodes, |gateway, ids| {
        let made = Arc::new(Shared { table: table(ids), entered: Mutex::default() });
        shared = Some(Arc::clone(&made));
        gateway.with_shared_sessions(made)
    })
    .await;
    (world, shared.unwrap())
}

async fn served_by(world: &World, user: &str) -> String {
    let mut client = http(world).await;
    let mut asked = request("GET", "http://origin.test/who", "");
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:")));
    asked.headers_mut().insert("proxy-authorization", value.parse().unwrap());
    let (status, _, body) = whole(client.send_request(asked).await.unwrap()).await;
    assert_eq!(status, 200);
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_session_that_another_gateway_has_begun_comes_out_where_it_does_there() {
    let (world, shared) = shared(|ids| Table::HasAnother(ids[5])).await;
    for _ in 0..4 {
        assert_eq!(served_by(&world, "x-session-one").await, "node-5");
        assert_eq!(served_by(&world, "x-session-two").await, "node-5");
    }
    assert_eq!(shared.entered.lock().len(), 2, "each session is asked for once");
}

#[tokio::test]
async fn a_session_that_begins_here_is_entered_with_the_exit_that_serves_it() {
    let (world, shared) = shared(|_| Table::Takes).await;
    let first = served_by(&world, "x-session-one").await;
    for _ in 0..4 {
        assert_eq!(served_by(&world, "x-session-one").await, first);
    }
    let entered = shared.entered.lock();
    let [(session, pinned)] = &entered[..] else { panic!("{} sessions were entered", entered.len()) };
    assert_eq!(&*session.session, "one");
    let serves = world.ids.iter().position(|id| *id == pinned.node).unwrap();
    assert_eq!(first, format!("node-{serves}"));
    assert_eq!(world.sessions.get(session.id(), session.began).unwrap().began, session.began);
}

#[tokio::test]
async fn nobody_waits_for_a_table_that_is_away_or_never_answers() {
    for table in [Table::Away, Table::Hangs] {
        let (world, shared) = shared(|_| table).await;
        let first = tokio::time::timeout(Duration::from_secs(20), served_by(&world, "x-session-one")).await.unwrap();
        assert_eq!(served_by(&world, "x-session-one").await, first, "{table:?}");
        assert_eq!(shared.entered.lock().len(), 1, "a session that runs is not asked for again");
    }
}

#[tokio::test]
async fn requests_without_a_session_ask_nobody() {
    let (world, shared) = shared(|_| Table::Hangs).await;
    served_by(&world, "x").await;
    assert!(shared.entered.lock().is_empty());
}
