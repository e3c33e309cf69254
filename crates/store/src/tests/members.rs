//! Members, claims and requests, over a real PostgreSQL.

use std::{sync::Arc, time::Duration};

use hezar_core::{Roles, Timestamp};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::place::Place;
use crate::{Change, Claimed, GONE_AFTER, MemberBeat, MemberFigures, MemberRow, Members, SharedStore, SourceRow};

const LEASE: Duration = Duration::from_secs(30);

pub(super) fn beat(name: &str, incarnation: i64) -> MemberBeat {
    MemberBeat {
        name: name.into(),
        incarnation,
        roles: "fetch,probe".parse().unwrap(),
        region: "de".into(),
        host: "machine".into(),
        pid: 17,
        version: "1.2.3".into(),
        proxy: "127.0.0.1:8000".into(),
        api: "".into(),
        started: Timestamp(5),
        figures: MemberFigures { tunnels: 3, lag_ms: Some(12), memory_bytes: None, ..MemberFigures::default() },
    }
}

/// The database beside the store.
async fn change(place: &Place, sql: &str) {
    let mut connection = PgConnection::connect(place.url()).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

async fn shared(place: &Place) -> Arc<dyn SharedStore> {
    place.open().await.shared().unwrap()
}

fn names(members: &Members) -> Vec<&str> {
    members.rows.iter().map(|row| &*row.beat.name).collect()
}

/// All members, as one sees them that comes for a moment.
async fn members(store: &Arc<dyn SharedStore>) -> Vec<MemberRow> {
    let seen = store.beat(&beat("observer", 99), false).await.unwrap();
    store.leave("observer", 99).await.unwrap();
    seen.rows.into_iter().filter(|row| &*row.beat.name != "observer").collect()
}

#[tokio::test]
async fn members_know_each_other_by_the_clock_of_the_database() {
    let Some(place) = Place::postgres("members_know_each_other_by_the_clock_of_the_database") else { return };
    let (one, other) = (shared(&place).await, shared(&place).await);
    let first = one.beat(&beat("b", 1), false).await.unwrap();
    assert!(first.is_accepted && first.rows[0].age < GONE_AFTER && !first.rows[0].draining);
    assert_eq!(first.rows[0].beat, beat("b", 1));
    let own_clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(own_clock.abs_diff(Duration::from_millis(first.now.0)) < Duration::from_secs(60), "{}", first.now.0);
    let both = other.beat(&beat("a", 2), false).await.unwrap();
    assert_eq!(names(&both), ["a", "b"]);
    // Silence shows in the age, and an hour of it takes the row away.
    change(&place, "UPDATE members SET beat_at = beat_at - interval '11 seconds' WHERE name = 'b'").await;
    let later = other.beat(&beat("a", 2), false).await.unwrap();
    assert!(later.rows[1].age > GONE_AFTER && later.rows[0].age < GONE_AFTER);
    change(&place, "UPDATE members SET beat_at = beat_at - interval '1 hour' WHERE name = 'b'").await;
    assert_eq!(names(&other.beat(&beat("a", 2), false).await.unwrap()), ["a"]);
    // Draining outlives beats and ends with the membership.
    assert!(one.set_draining("a", true).await.unwrap());
    assert!(!one.set_draining("c", true).await.unwrap());
    assert!(other.beat(&beat("a", 2), false).await.unwrap().rows[0].draining);
    other.leave("a", 1).await.unwrap();
    assert_eq!(members(&one).await.len(), 1, "another process of this name does not take it off the list");
    other.leave("a", 2).await.unwrap();
    assert!(members(&one).await.is_empty());
    assert!(!other.beat(&beat("a", 2), false).await.unwrap().rows[0].draining);
    let all = MemberBeat { roles: Roles::all(), ..beat("a", 2) };
    assert!(other.beat(&all, false).await.unwrap().rows[0].beat.roles.are_all());
}

#[tokio::test]
async fn a_name_belongs_to_one_living_process() {
    let Some(place) = Place::postgres("a_name_belongs_to_one_living_process") else { return };
    let (old, new) = (shared(&place).await, shared(&place).await);
    let accepted = async |store: &Arc<dyn SharedStore>, incarnation, takes_over| {
        store.beat(&beat("a", incarnation), takes_over).await.unwrap().is_accepted
    };
    assert!(accepted(&old, 1, false).await);
    let refused = new.beat(&beat("a", 2), false).await.unwrap();
    assert!(!refused.is_accepted);
    assert_eq!(refused.rows[0].beat.incarnation, 1);
    // A takeover: the old process hands over, and takes the name back if the new one fails.
    old.hand_over_member("a", 1).await.unwrap();
    assert_eq!(members(&old).await[0].beat.incarnation, 0);
    assert!(accepted(&old, 1, false).await);
    old.set_draining("a", true).await.unwrap();
    old.hand_over_member("a", 1).await.unwrap();
    assert!(accepted(&new, 2, false).await);
    assert!(!accepted(&old, 1, false).await);
    assert!(members(&old).await[0].draining, "a takeover changes nothing about draining");
    old.hand_over_member("a", 1).await.unwrap();
    old.leave("a", 1).await.unwrap();
    assert!(accepted(&new, 2, false).await, "what the old process does late changes nothing");
    // The process is dead: by its silence, or because whoever comes has looked for long enough.
    change(&place, "UPDATE members SET beat_at = beat_at - interval '11 seconds'").await;
    assert!(accepted(&old, 3, false).await);
    assert!(!members(&old).await[0].draining, "the process that was drained is dead");
    assert!(!accepted(&new, 4, false).await);
    assert!(accepted(&new, 4, true).await);
}

#[tokio::test]
async fn a_source_is_claimed_by_one_instance_until_its_lease_runs_out() {
    let Some(place) = Place::postgres("a_source_is_claimed_by_one_instance_until_its_lease_runs_out") else { return };
    let (one, other) = (shared(&place).await, shared(&place).await);
    let granted = Claimed::Granted { is_requested: false };
    let claims = (0..16).map(|number| {
        let store = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&other) };
        tokio::spawn(async move { store.claim_source("list", &format!("holder-{number}"), LEASE).await.unwrap() })
    });
    let mut winners = 0;
    for claim in claims.collect::<Vec<_>>() {
        winners += usize::from(claim.await.unwrap() == granted);
    }
    assert_eq!(winners, 1, "of many that claim at once one gets it");
    change(&place, "UPDATE claims SET holder = 'one'").await;
    assert_eq!(one.claim_source("list", "one", LEASE).await.unwrap(), granted, "the holder lengthens it");
    assert_eq!(other.claim_source("list", "other", LEASE).await.unwrap(), Claimed::Held);
    assert_eq!(other.claim_source("more", "other", LEASE).await.unwrap(), granted);
    // The holder dies: its lease runs out.
    change(&place, "UPDATE claims SET until = clock_timestamp() - interval '1 second' WHERE name = 'list'").await;
    assert_eq!(other.claim_source("list", "other", LEASE).await.unwrap(), granted);
    one.release_source("list", "one").await.unwrap();
    assert_eq!(one.claim_source("list", "one", LEASE).await.unwrap(), Claimed::Held, "it is not its own any more");
    other.release_source("list", "other").await.unwrap();
    assert_eq!(one.claim_source("list", "one", LEASE).await.unwrap(), granted);
    // Who leaves gives everything up.
    other.beat(&beat("other", 3), false).await.unwrap();
    other.leave("other", 3).await.unwrap();
    assert_eq!(one.claim_source("more", "one", LEASE).await.unwrap(), granted);
}

#[tokio::test]
async fn a_request_reaches_who_reads_and_is_served_once() {
    let Some(place) = Place::postgres("a_request_reaches_who_reads_and_is_served_once") else { return };
    let (asks, reads) = (shared(&place).await, shared(&place).await);
    asks.request_fetch(&["one".into(), "two".into()]).await.unwrap();
    asks.request_fetch(&["two".into()]).await.unwrap();
    let told = reads.beat(&beat("a", 1), false).await.unwrap().requested;
    assert_eq!(told, [Arc::from("one"), Arc::from("two")]);
    let requested = Claimed::Granted { is_requested: true };
    assert_eq!(reads.claim_source("two", "a", LEASE).await.unwrap(), requested);
    assert_eq!(reads.beat(&beat("a", 1), false).await.unwrap().requested, [Arc::from("one")]);
    change(&place, "UPDATE fetch_requests SET at = at - interval '11 minutes'").await;
    assert!(reads.beat(&beat("a", 1), false).await.unwrap().requested.is_empty(), "nobody reads it");
    // What was read is told as it is in the store.
    assert_eq!(asks.source("two").await.unwrap(), None);
    let row = SourceRow { last_fetch: Some(Timestamp(9)), nodes: 4, ..SourceRow::new("two", "url") };
    reads.write(&[Change::PutSource(row.clone())]).await.unwrap();
    assert_eq!(asks.source("two").await.unwrap(), Some(row));
}
