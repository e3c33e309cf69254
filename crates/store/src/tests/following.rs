//! Several instances over one database: what each commits reaches the others, whatever the order of the transactions.

use std::{sync::Arc, time::Duration};

use hezar_core::{NodeId, Record, State, Timestamp, UtcDay};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::timeout;

use super::{
    members,
    model::{healthy, id, node},
    place::Place,
};
use crate::{
    Change, ChangePosition, ChangedRows, ChangesSince, ControlChange, DashboardKind, DashboardRow, MemberBeat,
    ObjectRow, SessionName, SessionRow, SharedStore, SiteBanRow, SourceRow, Store, StoreIdentity, TokenRow, UsageRow,
    Wake,
};

struct Instance {
    store: Arc<dyn Store>,
    shared: Arc<dyn SharedStore>,
}

impl Instance {
    async fn of(place: &Place, region: &str) -> Self {
        let store = place.open().await;
        let shared = store.shared().unwrap();
        shared.identify(StoreIdentity { instance: region.into(), region: region.into(), is_observer: false });
        Self { store, shared }
    }

    async fn write(&self, changes: &[Change]) {
        self.store.write(changes).await.unwrap();
    }

    async fn since(&self, position: &mut ChangePosition) -> ChangedRows {
        let ChangesSince::Rows(rows) = self.shared.changes_since(position).await.unwrap() else { panic!("load anew") };
        *position = rows.next.clone();
        *rows
    }
}

fn records(rows: &ChangedRows) -> Vec<(NodeId, State)> {
    let record = |change: &Change| match change {
        Change::PutRecord(id, record) => Some((*id, record.state)),
        _ => None,
    };
    rows.changes.iter().filter_map(record).collect()
}

fn nodes(rows: &ChangedRows) -> Vec<NodeId> {
    let node = |change: &Change| match change {
        Change::PutNode(row) => Some(row.id),
        _ => None,
    };
    rows.changes.iter().filter_map(node).collect()
}

#[tokio::test]
async fn what_commits_out_of_order_is_all_seen_and_once() {
    let Some(place) = Place::postgres("what_commits_out_of_order_is_all_seen_and_once") else { return };
    let reader = Instance::of(&place, "").await;
    reader.write(&[Change::PutNode(node(1)), Change::PutNode(node(2)), Change::PutNode(node(3))]).await;
    let mut position = reader.shared.position().await.unwrap();
    assert!(reader.since(&mut position).await.changes.is_empty());
    // The first begins first and commits last.
    let mut first = PgConnection::connect(place.url()).await.unwrap();
    let mut second = PgConnection::connect(place.url()).await.unwrap();
    let update =
        |n: u64| AssertSqlSafe(format!("UPDATE proxies SET label = 'new', version = DEFAULT WHERE id = '{}'", id(n)));
    first.execute("BEGIN").await.unwrap();
    first.execute(update(1)).await.unwrap();
    second.execute("BEGIN").await.unwrap();
    second.execute(update(2)).await.unwrap();
    assert!(nodes(&reader.since(&mut position).await).is_empty());
    second.execute("COMMIT").await.unwrap();
    assert_eq!(nodes(&reader.since(&mut position).await), [id(2)], "an open transaction holds nobody back");
    reader.write(&[Change::RemoveNode(id(3))]).await;
    let removed = reader.since(&mut position).await.changes;
    assert_eq!(removed, [Change::RemoveNode(id(3))]);
    first.execute("COMMIT").await.unwrap();
    assert_eq!(nodes(&reader.since(&mut position).await), [id(1)]);
    assert!(reader.since(&mut position).await.changes.is_empty(), "nothing comes twice");
    // What is taken back was never there.
    first.execute("BEGIN").await.unwrap();
    first.execute(update(1)).await.unwrap();
    first.execute("ROLLBACK").await.unwrap();
    assert!(reader.since(&mut position).await.changes.is_empty());
}

#[tokio::test]
async fn every_kind_of_row_is_followed() {
    let Some(place) = Place::postgres("every_kind_of_row_is_followed") else { return };
    let (writer, reader) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let mut position = reader.shared.position().await.unwrap();
    let session = session("s", 1_000, 9_000);
    let dashboard = DashboardRow { kind: DashboardKind::Storage, key: "k".into(), value: "v".into() };
    let put = [
        Change::PutSource(SourceRow::new("a", "url")),
        Change::PutNode(node(1)),
        Change::PutNode(node(2)),
        Change::SetListing { source: "a".into(), ids: vec![id(1)], complete: true },
        Change::PutSession(session.clone()),
        Change::PutDashboard(dashboard.clone()),
    ];
    writer.write(&put).await;
    let usage = UsageRow { user: "alice".into(), day: UtcDay(20_000), up: 3, down: 4 };
    writer.store.add_usage(std::slice::from_ref(&usage)).await.unwrap();
    let object = ObjectRow { kind: "user".into(), name: "bob".into(), value: "{}".into(), changed: Timestamp(5) };
    writer.store.write_control(&[ControlChange::PutObject(object)]).await.unwrap();
    let rows = reader.since(&mut position).await;
    assert!(rows.objects && !rows.tokens && rows.usage == [usage]);
    for expected in [
        Change::PutSource(SourceRow::new("a", "url")),
        Change::PutNode(node(1)),
        Change::ListNode { id: id(1), sources: vec!["a".into()] },
        Change::ListNode { id: id(2), sources: Vec::new() },
        Change::PutSession(session.clone()),
        Change::PutDashboard(dashboard.clone()),
    ] {
        assert!(rows.changes.contains(&expected), "{}", expected.subject());
    }
    let of_one = rows.changes.iter().position(|change| *change == Change::PutNode(node(1))).unwrap();
    assert_eq!(rows.changes[of_one + 1], Change::ListNode { id: id(1), sources: vec!["a".into()] });

    let removed = [
        Change::RemoveNode(id(2)),
        Change::SetListing { source: "a".into(), ids: Vec::new(), complete: true },
        Change::RemoveSession { name: session.name, ends: Change::WHENEVER },
        Change::RemoveDashboard(dashboard.kind, dashboard.key),
    ];
    writer.write(&removed).await;
    let rows = reader.since(&mut position).await;
    assert!(!rows.objects && !rows.tokens && rows.usage.is_empty());
    for gone in [&removed[0], &removed[2], &removed[3], &Change::ListNode { id: id(1), sources: Vec::new() }] {
        assert!(rows.changes.contains(gone), "{}", gone.subject());
    }
    // What comes back between two looks was never away.
    writer.write(&[Change::RemoveSource("a".into()), Change::PutSource(SourceRow::new("a", "url"))]).await;
    let rows = reader.since(&mut position).await;
    assert_eq!(rows.changes, [Change::PutSource(SourceRow::new("a", "url"))]);
}

#[tokio::test]
async fn the_use_of_a_token_is_followed_as_a_change_of_tokens_alone() {
    let Some(place) = Place::postgres("the_use_of_a_token_is_followed") else { return };
    let (writer, reader) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let mut position = reader.shared.position().await.unwrap();
    let [name, hash, scope] = ["phone", "hash", "read"].map(Box::from);
    let row = TokenRow { name, hash, scope, created: Timestamp(1), last_used: None };
    let changes = [
        ControlChange::PutToken(row.clone()),
        ControlChange::TokensUsed(vec![("phone".into(), Timestamp(9))]),
        ControlChange::TokensUsed(vec![("phone".into(), Timestamp(5))]),
        ControlChange::RemoveToken("phone".into()),
    ];
    let used = TokenRow { last_used: Some(Timestamp(9)), ..row.clone() };
    let expected = [(true, vec![row]), (true, vec![used.clone()]), (false, vec![used]), (true, Vec::new())];
    for (change, (is_change, tokens)) in changes.into_iter().zip(expected) {
        writer.store.write_control(&[change]).await.unwrap();
        let rows = reader.since(&mut position).await;
        assert_eq!((rows.tokens, rows.objects), (is_change, false));
        assert_eq!(reader.store.load_tokens().await.unwrap(), tokens);
    }
}

#[tokio::test]
async fn records_of_the_own_region_come_first() {
    let Some(place) = Place::postgres("records_of_the_own_region_come_first") else { return };
    let (german, french) = (Instance::of(&place, "de").await, Instance::of(&place, "fr").await);
    german.write(&[Change::PutNode(node(1))]).await;
    let mut position = german.shared.position().await.unwrap();
    let record = |state, minutes: u64| Record {
        state,
        last_checked: Some(Timestamp(minutes * 60_000)),
        dead_since: (state == State::Dead).then_some(Timestamp(minutes * 60_000)),
        ..healthy(1)
    };
    french.write(&[Change::PutRecord(id(1), record(State::Dead, 100))]).await;
    assert_eq!(records(&german.since(&mut position).await), [(id(1), State::Dead)], "there is none of its own");
    german.write(&[Change::PutRecord(id(1), record(State::Healthy, 101))]).await;
    assert_eq!(records(&german.since(&mut position).await), [(id(1), State::Healthy)]);
    french.write(&[Change::PutRecord(id(1), record(State::Dead, 110))]).await;
    assert_eq!(records(&german.since(&mut position).await), []);
    french.write(&[Change::PutRecord(id(1), record(State::Dead, 120))]).await;
    assert_eq!(records(&german.since(&mut position).await), [(id(1), State::Dead)], "its own is too old");
    // A prober of its own looks at dead nodes every half an hour.
    let beat = MemberBeat { region: "de".into(), ..members::beat("prober", 1) };
    german.shared.beat(&beat, false).await.unwrap();
    french.write(&[Change::PutRecord(id(1), record(State::Healthy, 130))]).await;
    assert_eq!(records(&german.since(&mut position).await), [], "its own prober lives");
    german.shared.set_draining("prober", true).await.unwrap();
    french.write(&[Change::PutRecord(id(1), record(State::Healthy, 131))]).await;
    assert_eq!(records(&german.since(&mut position).await), [(id(1), State::Healthy)], "its own prober is drained");
}

#[tokio::test]
async fn an_older_measurement_is_no_change() {
    let Some(place) = Place::postgres("an_older_measurement_is_no_change") else { return };
    let (writer, stopped) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let record =
        |state, seconds: u64| Record { state, last_checked: Some(Timestamp(seconds * 1000)), ..Record::default() };
    writer.write(&[Change::PutNode(node(1)), Change::PutRecord(id(1), record(State::Healthy, 100_000))]).await;
    let mut position = writer.shared.position().await.unwrap();
    stopped.write(&[Change::PutRecord(id(1), record(State::Suspect, 99_999))]).await;
    assert!(writer.since(&mut position).await.changes.is_empty());
    assert_eq!(writer.store.load().await.unwrap().nodes[0].record.state, State::Healthy);
}

#[tokio::test]
async fn a_position_of_another_database_or_of_long_ago_is_refused() {
    let Some(place) = Place::postgres("a_position_of_another_database_or_of_long_ago_is_refused") else { return };
    let instance = Instance::of(&place, "").await;
    let position = instance.shared.position().await.unwrap();
    let anew = |outcome: ChangesSince| matches!(outcome, ChangesSince::LoadAnew);
    let elsewhere = ChangePosition { database: "another".into(), ..position.clone() };
    assert!(anew(instance.shared.changes_since(&elsewhere).await.unwrap()));
    assert!(!anew(instance.shared.changes_since(&position).await.unwrap()));
    instance.write(&[Change::PutNode(node(1)), Change::RemoveNode(id(1))]).await;
    instance.shared.clear_removals().await.unwrap();
    assert!(!anew(instance.shared.changes_since(&position).await.unwrap()), "they are kept for a day");
    let mut connection = PgConnection::connect(place.url()).await.unwrap();
    connection.execute("UPDATE tombstones SET at = at - interval '25 hours'").await.unwrap();
    instance.shared.clear_removals().await.unwrap();
    assert!(anew(instance.shared.changes_since(&position).await.unwrap()), "a removal may have gone unseen");
    let now = instance.shared.position().await.unwrap();
    assert!(!anew(instance.shared.changes_since(&now).await.unwrap()));
    connection.execute("TRUNCATE bans").await.unwrap();
    assert!(anew(instance.shared.changes_since(&now).await.unwrap()), "nobody knows what was there");
}

/// As a dump of a server that has made more transactions leaves them.
#[tokio::test]
async fn rows_of_another_server_are_no_changes_for_ever() {
    let Some(place) = Place::postgres("rows_of_another_server_are_no_changes_for_ever") else { return };
    let before = Instance::of(&place, "").await;
    before.write(&[Change::PutNode(node(1)), Change::PutNode(node(2)), Change::RemoveNode(id(2))]).await;
    let mut position = before.shared.position().await.unwrap();
    let mut connection = PgConnection::connect(place.url()).await.unwrap();
    for table in ["proxies", "tombstones", "tombstones_cleared"] {
        let dumped = format!("UPDATE {table} SET version = '9000000000000'");
        connection.execute(AssertSqlSafe(dumped)).await.unwrap();
    }
    let outcome = before.shared.changes_since(&position).await.unwrap();
    assert!(matches!(outcome, ChangesSince::LoadAnew), "the numbers say nothing");
    let after = Instance::of(&place, "").await;
    let outcome = after.shared.changes_since(&position).await.unwrap();
    assert!(matches!(outcome, ChangesSince::LoadAnew), "it is another database now");
    position = after.shared.position().await.unwrap();
    assert_eq!(after.since(&mut position).await.changes, []);
    after.write(&[Change::PutNode(node(3))]).await;
    assert!(after.since(&mut position).await.changes.contains(&Change::PutNode(node(3))));
    assert_eq!(after.store.load().await.unwrap().nodes.len(), 2);
}

#[tokio::test]
async fn a_change_and_a_suspicion_wake_those_who_listen() {
    let Some(place) = Place::postgres("a_change_and_a_suspicion_wake_those_who_listen") else { return };
    let (writer, reader) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let mut listener = reader.shared.listen().await.unwrap();
    let patience = Duration::from_secs(30);
    writer.write(&[Change::PutNode(node(1))]).await;
    assert_eq!(timeout(patience, listener.next()).await.unwrap().unwrap(), Wake::Changed);
    let many: Vec<NodeId> = (0..450).map(id).collect();
    writer.shared.suspect(&many).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < many.len() {
        match timeout(patience, listener.next()).await.unwrap().unwrap() {
            Wake::Suspected(ids) => heard.extend(ids),
            Wake::Changed => {}
        }
    }
    assert_eq!(heard, many);
}

fn session(name: &str, began: u64, ends: u64) -> SessionRow {
    SessionRow {
        name: SessionName { listener: "l".into(), user: "u".into(), session: name.into() },
        country: None,
        began: Timestamp(began),
        ends: Timestamp(ends),
        lasts: Duration::from_millis(ends - began),
        exit_ip: Some([192, 0, 2, 1].into()),
        node: Some(id(1)),
    }
}

#[tokio::test]
async fn of_two_that_begin_a_session_the_first_wins_until_it_ends() {
    let Some(place) = Place::postgres("of_two_that_begin_a_session_the_first_wins_until_it_ends") else { return };
    let (one, two) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let first = session("s", 1_000, 5_000);
    let second = SessionRow { node: Some(id(2)), ..session("s", 1_001, 5_001) };
    let entered = tokio::join!(one.shared.enter_session(&first), two.shared.enter_session(&second));
    let (a, b) = (entered.0.unwrap(), entered.1.unwrap());
    assert!(a == b && (a == first || a == second), "both see the same one");
    let later = SessionRow { node: Some(id(3)), ..session("s", 6_000, 9_000) };
    assert_eq!(two.shared.enter_session(&later).await.unwrap(), later, "the old one has ended");
    assert_eq!(one.shared.enter_session(&first).await.unwrap(), later);
    // The other one learns late that the first session is over, and the new one stays.
    let end = |ends| Change::RemoveSession { name: first.name.clone(), ends };
    one.write(&[end(first.ends)]).await;
    assert_eq!(one.store.load().await.unwrap().sessions, std::slice::from_ref(&later));
    one.write(&[end(later.ends)]).await;
    assert_eq!(one.store.load().await.unwrap().sessions, []);
}

#[tokio::test]
async fn a_ban_of_an_exit_that_ends_here_stays_when_it_was_renewed_elsewhere() {
    let Some(place) = Place::postgres("a_ban_of_an_exit_that_ends_here_stays") else { return };
    let (late, renewing) = (Instance::of(&place, "").await, Instance::of(&place, "").await);
    let ban = |until| SiteBanRow {
        site: "a.example".into(),
        exit: [192, 0, 2, 1].into(),
        since: Timestamp(1),
        until: Timestamp(until),
        reason: "refused".into(),
    };
    let end = |until| Change::RemoveSiteBan { site: "a.example".into(), exit: [192, 0, 2, 1].into(), until };
    late.write(&[Change::PutSiteBan(ban(5_000))]).await;
    renewing.write(&[Change::PutSiteBan(ban(9_000))]).await;
    let mut position = renewing.shared.position().await.unwrap();
    // The other one has not heard of the renewal.
    late.write(&[end(Timestamp(5_000))]).await;
    assert_eq!(late.store.load().await.unwrap().site_bans, [ban(9_000)]);
    assert_eq!(renewing.since(&mut position).await.changes, [], "nobody is told that it was lifted");
    for until in [Timestamp(9_000), Change::WHENEVER] {
        late.write(&[Change::PutSiteBan(ban(9_000)), end(until)]).await;
        assert_eq!(late.store.load().await.unwrap().site_bans, []);
        assert_eq!(renewing.since(&mut position).await.changes, [end(Change::WHENEVER)]);
    }
}
