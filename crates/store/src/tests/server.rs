//! What only a database server can do: be away, fall over, refuse, be a standby, hide behind a pooler, and serve several instances at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hezar_core::{Record, Timestamp};
use hezar_lab::postgres::{Pooler, PostgresServer};

use super::{
    model::{healthy, id, node},
    place::Place,
};
use crate::{
    Access, Change, ControlChange, HistoryRow, HistorySample, HistoryStep, ObjectRow, Postgres, Retry, Store,
    StoreError, StoreIdentity, StoreSettings, StoreUrl, UsageRow,
};

fn settings(url: &str) -> StoreSettings {
    StoreSettings { url: StoreUrl(url.into()), ..StoreSettings::default() }
}

async fn open(url: &str) -> Result<Postgres, StoreError> {
    Postgres::open(&settings(url), Access::Exclusive).await
}

/// A server of the test's own, with an empty database.
fn own_server(test: &str) -> Option<(PostgresServer, String)> {
    let server = PostgresServer::start_if_installed(test).unwrap()?;
    let url = server.create_database("hezar").unwrap();
    Some((server, url))
}

async fn is_refused(url: &str, code: &str, retry: Retry) {
    let error = open(url).await.unwrap_err();
    let text = error.to_string();
    assert_eq!((error.code(), error.retry()), (code, retry), "{text}");
    assert!(!text.contains("secret") && !format!("{error:?}").contains("secret word"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_with_the_address_or_the_login_is_said_without_the_password() {
    let test = "what_is_wrong_with_the_address_or_the_login_is_said_without_the_password";
    let Some((_server, url)) = own_server(test) else { return };
    let url = url.as_str();
    let (login, database) = url.rsplit_once('/').unwrap();
    is_refused(&url.replace("secret%20word", "another-secret"), "store-login", Retry::Seldom).await;
    is_refused(&url.replace("hezar:", "nobody:"), "store-login", Retry::Seldom).await;
    is_refused(&format!("{login}/no_such_database"), "store-no-database", Retry::Seldom).await;
    is_refused(&format!("{url}?sslmode=require"), "store-tls", Retry::Seldom).await;
    is_refused(&format!("{url}?sslmode=nonsense"), "store-server-url", Retry::Never).await;
    is_refused(&format!("{url}?pasword=secret"), "store-server-url", Retry::Never).await;
    is_refused("postgres://hezar:secret@127.0.0.1:99999/x", "store-server-url", Retry::Never).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    is_refused(&format!("postgres://hezar:secret@127.0.0.1:{closed}/{database}"), "store-unreachable", Retry::Soon)
        .await;
    let memory = StoreSettings { memory: true, ..settings(url) };
    assert_eq!(Postgres::open(&memory, Access::Exclusive).await.unwrap_err().code(), "store-file-only");
    let missing = Postgres::open(&settings(url), Access::ReadOnly).await.unwrap_err();
    assert_eq!(missing.code(), "store-older", "{missing}");
}

#[tokio::test]
async fn a_database_of_others_and_one_of_a_newer_version_are_refused() {
    let Some((server, url)) = own_server("a_database_of_others_and_one_of_a_newer_version_are_refused") else { return };
    server.sql("hezar", "CREATE TABLE proxies (id int)").unwrap();
    is_refused(&url, "store-foreign", Retry::Seldom).await;
    server.sql("hezar", "DROP TABLE proxies; CREATE TABLE something_else (id int)").unwrap();
    let store = open(&url).await.unwrap();
    server.sql("hezar", "INSERT INTO hezar_migrations VALUES (9999, 'later', now(), true, '', 0)").unwrap();
    is_refused(&url, "store-newer", Retry::Seldom).await;
    // One that is open goes on: instances are replaced one by one.
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    server.sql("hezar", "DROP TABLE proxies").unwrap();
    let damaged = store.write(&[Change::PutNode(node(2))]).await.unwrap_err();
    assert_eq!((damaged.code(), damaged.retry()), ("store-corrupt", Retry::Seldom), "{damaged}");
    store.close().await;
    assert_eq!(store.write(&[]).await.unwrap_err().code(), "store-closed");
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_what_was_written() {
    let test = "a_server_that_is_killed_and_comes_back_has_what_was_written";
    let Some((mut server, url)) = own_server(test) else { return };
    let store = open(&url).await.unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    server.kill().unwrap();
    let away = store.write(&[Change::PutNode(node(2))]).await.unwrap_err();
    assert_eq!((away.code(), away.retry()), ("store-unreachable", Retry::Soon), "{away}");
    assert_eq!(store.load().await.unwrap_err().code(), "store-unreachable");
    server.start().unwrap();
    store.write(&[Change::PutNode(node(2))]).await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes.len(), 2);
    // Connections that the server has ended meanwhile do no harm.
    server
        .sql("hezar", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hezar'")
        .unwrap();
    store.write(&[Change::PutNode(node(3))]).await.unwrap();
}

#[tokio::test]
async fn a_standby_takes_changes_once_it_is_promoted() {
    let Some((primary, url)) = own_server("a_standby_takes_changes_once_it_is_promoted") else { return };
    let store = open(&url).await.unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    let standby = primary.standby().unwrap();
    let other = open(&standby.url("hezar")).await.unwrap();
    let refused = other.write(&[Change::PutNode(node(2))]).await.unwrap_err();
    assert_eq!((refused.code(), refused.retry()), ("store-standby", Retry::Soon), "{refused}");
    assert_eq!(other.load().await.unwrap().nodes, [node(1)]);
    drop(primary);
    standby.promote().unwrap();
    other.write(&[Change::PutNode(node(2))]).await.unwrap();
    assert_eq!(other.load().await.unwrap().nodes.len(), 2);
    other.close().await;
}

/// The server itself raises each code.
#[tokio::test]
async fn every_failure_of_the_server_has_a_code_and_is_tried_again_when_it_passes() {
    let Some((server, url)) = own_server("every_failure_of_the_server_has_a_code") else { return };
    let store = open(&url).await.unwrap();
    server
        .sql(
            "hezar",
            "CREATE TABLE failure (code text); INSERT INTO failure VALUES ('00000'); \
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION USING ERRCODE = (SELECT code FROM failure), MESSAGE = 'raised'; END $$; \
             CREATE TRIGGER fail BEFORE INSERT ON proxies FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        .unwrap();
    let expected = [
        ("53100", "store-full", Retry::Soon),
        ("53200", "store-unreachable", Retry::Soon),
        ("53300", "store-unreachable", Retry::Soon),
        ("57P01", "store-unreachable", Retry::Soon),
        ("57P03", "store-unreachable", Retry::Soon),
        ("58030", "store-unreachable", Retry::Soon),
        ("08006", "store-unreachable", Retry::Soon),
        ("57014", "store-slow", Retry::Soon),
        ("55P03", "store-slow", Retry::Soon),
        ("25P04", "store-slow", Retry::Soon),
        ("40P01", "store-conflict", Retry::Soon),
        ("40003", "store-conflict", Retry::Soon),
        ("40001", "store-conflict", Retry::Soon),
        ("0A000", "store-conflict", Retry::Soon),
        ("26000", "store-pooler", Retry::Seldom),
        ("42P05", "store-pooler", Retry::Seldom),
        ("25006", "store-standby", Retry::Soon),
        ("42501", "store-rights", Retry::Seldom),
        ("XX001", "store-corrupt", Retry::Seldom),
        ("42P01", "store-corrupt", Retry::Seldom),
        ("22003", "store-query", Retry::Never),
        ("23505", "store-query", Retry::Never),
    ];
    for (raised, code, retry) in expected {
        server.sql("hezar", &format!("UPDATE failure SET code = '{raised}'")).unwrap();
        let error = store.write(&[Change::PutNode(node(1))]).await.unwrap_err();
        assert_eq!((error.code(), error.retry()), (code, retry), "{raised}: {error}");
    }
    server.sql("hezar", "DROP TRIGGER fail ON proxies").unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_said_and_waited_for_no_longer() {
    let test = "a_lock_that_is_held_too_long_is_said_and_waited_for_no_longer";
    let Some((server, url)) = own_server(test) else { return };
    let store = open(&url).await.unwrap();
    let server = Arc::new(server);
    let blocker = std::thread::spawn({
        let server = Arc::clone(&server);
        // It is ended before it has slept enough.
        move || {
            server.sql("hezar", "BEGIN; LOCK TABLE proxies IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)").unwrap_err()
        }
    });
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'proxies'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    while server.sql("hezar", held).unwrap() == "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let slow = store.write(&[Change::PutNode(node(2))]).await.unwrap_err();
    assert_eq!((slow.code(), slow.retry()), ("store-slow", Retry::Soon), "{slow}");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    server.sql("hezar", end).unwrap();
    blocker.join().unwrap();
    store.write(&[Change::PutNode(node(2))]).await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes, [node(2)]);
}

#[tokio::test]
async fn tls_is_checked_against_the_authority_that_the_url_names() {
    let Some((mut server, url)) = own_server("tls_is_checked_against_the_authority_that_the_url_names") else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let file = folder.path().join(format!("{name}.pem"));
        std::fs::write(&file, certified.cert.pem()).unwrap();
        (certified, file.display().to_string())
    };
    let (own, own_file) = made("127.0.0.1");
    let (_, other_file) = made("localhost");
    server.use_certificate(&own.cert.pem(), &own.signing_key.serialize_pem()).unwrap();
    server.stop().unwrap();
    server.start().unwrap();
    let full = format!("{url}?sslmode=verify-full&sslrootcert={own_file}");
    let store = open(&full).await.unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    let encrypted = server.sql(
        "hezar",
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl \
        AND application_name = 'hezar'",
    );
    assert_ne!(encrypted.unwrap(), "0");
    store.close().await;
    is_refused(&format!("{url}?sslmode=verify-full&sslrootcert={other_file}"), "store-tls", Retry::Seldom).await;
    is_refused(&format!("{url}?sslmode=verify-full"), "store-tls", Retry::Seldom).await;
    open(&format!("{url}?sslmode=require")).await.unwrap().close().await;
}

#[tokio::test]
async fn ten_instances_start_on_an_empty_database_at_once() {
    let Some(place) = Place::postgres("ten_instances_start_on_an_empty_database_at_once") else { return };
    let starts = (0..10).map(|_| place.open());
    let stores = futures_util::future::join_all(starts).await;
    stores[0].write(&[Change::PutNode(node(1))]).await.unwrap();
    for store in &stores {
        assert_eq!(store.load().await.unwrap().nodes, [node(1)]);
        store.close().await;
    }
}

fn checked(at: u64) -> Record {
    Record { last_checked: Some(Timestamp(at)), ..healthy(at) }
}

/// Instances that write the same rows in different orders neither wait for each other for ever nor undo what is newer.
#[tokio::test]
async fn of_several_writers_the_newest_evidence_wins() {
    let Some(place) = Place::postgres("of_several_writers_the_newest_evidence_wins") else { return };
    let first = place.open().await;
    let nodes: Vec<Change> = (0..200).map(|n| Change::PutNode(node(n))).collect();
    first.write(&nodes).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let store = place.open().await;
        writers.push(tokio::spawn(async move {
            for round in 0..20_u64 {
                let time = |n: u64| 1000 + (round * 4 + writer) * 7 % 80 + n;
                let mut changes: Vec<Change> = (0..200).map(|n| Change::PutRecord(id(n), checked(time(n)))).collect();
                if writer % 2 == 0 {
                    changes.reverse();
                }
                store.write(&changes).await.unwrap();
                store.add_usage(&[usage("alice", writer + round)]).await.unwrap();
            }
            store.close().await;
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let newest = 1000 + (0..80).map(|n| n * 7 % 80).max().unwrap();
    let loaded = first.load().await.unwrap().nodes;
    let found: BTreeMap<_, _> = loaded.into_iter().map(|row| (row.id, row.record.last_checked)).collect();
    for n in 0..200 {
        assert_eq!(found[&id(n)], Some(Timestamp(newest + n)));
    }
    let total: u64 = (0..4).flat_map(|writer| (0..20).map(move |round| writer + round)).sum();
    assert_eq!(first.usage_totals().await.unwrap(), [usage("alice", total)]);
}

fn usage(user: &str, up: u64) -> UsageRow {
    UsageRow { user: user.into(), day: hezar_core::UtcDay(20_000), up, down: 0 }
}

#[tokio::test]
async fn each_region_has_its_own_verdict_and_others_stand_in_where_there_is_none() {
    let Some(place) = Place::postgres("each_region_has_its_own_verdict") else { return };
    let store = |region: &'static str, is_observer: bool| {
        let place = &place;
        async move {
            let store = place.open().await;
            let identity = StoreIdentity { instance: region.into(), region: region.into(), is_observer };
            store.shared().unwrap().identify(identity);
            store
        }
    };
    let (de, nl, fetcher) = (store("de", false).await, store("nl", false).await, store("", true).await);
    fetcher.write(&[Change::PutNode(node(1)), Change::PutNode(node(2)), Change::PutNode(node(3))]).await.unwrap();
    de.write(&[Change::PutRecord(id(1), checked(10)), Change::PutRecord(id(2), checked(10))]).await.unwrap();
    nl.write(&[Change::PutRecord(id(1), checked(20))]).await.unwrap();
    // What an observer says about measurements is not written.
    let told = crate::NodeRow { label: "new".into(), record: checked(99), ..node(1) };
    fetcher.write(&[Change::PutNode(told), Change::PutRecord(id(3), checked(99))]).await.unwrap();
    let times = async |store: &Arc<dyn Store>| -> Vec<Option<u64>> {
        let mut nodes = store.load().await.unwrap().nodes;
        nodes.sort_by_key(|row| row.record.first_seen);
        nodes.iter().map(|row| row.record.last_checked.map(|time| time.0)).collect()
    };
    let mut found = [times(&de).await, times(&nl).await, times(&fetcher).await];
    found.iter_mut().for_each(|times| times.sort());
    assert_eq!(
        found,
        [vec![None, Some(10), Some(10)], vec![None, Some(10), Some(20)], vec![None, Some(10), Some(20)],]
    );
    fetcher.write(&[Change::RemoveNode(id(1)), Change::PutNode(node(1))]).await.unwrap();
    assert!(times(&nl).await.iter().all(|time| *time != Some(20)), "a node that comes back is measured anew");
}

#[tokio::test]
async fn the_history_of_all_instances_adds_up_and_each_continues_its_own() {
    let Some(place) = Place::postgres("the_history_of_all_instances_adds_up") else { return };
    let row = |samples| HistoryRow {
        step: HistoryStep::Minute,
        at: Timestamp(60_000),
        sample: HistorySample { samples, requests: [("ok".into(), samples)].into(), ..HistorySample::default() },
    };
    let (one, two) = (place.open().await, place.open().await);
    for (store, name, samples) in [(&one, "one", 3), (&two, "two", 4)] {
        store.shared().unwrap().identify(StoreIdentity { instance: name.into(), ..StoreIdentity::default() });
        store.write(&[Change::PutHistory(row(1))]).await.unwrap();
        store.write(&[Change::PutHistory(row(samples))]).await.unwrap();
    }
    let (from, to) = (Timestamp(0), Timestamp(u64::MAX));
    assert_eq!(one.history(HistoryStep::Minute, from, to).await.unwrap(), [row(7)]);
    assert_eq!(one.own_history(HistoryStep::Minute, from, to).await.unwrap(), [row(3)]);
    assert_eq!(two.own_history(HistoryStep::Minute, from, to).await.unwrap(), [row(4)]);
}

#[tokio::test]
async fn everything_works_behind_a_pooler_in_transaction_mode() {
    let test = "everything_works_behind_a_pooler_in_transaction_mode";
    let Some((server, direct)) = own_server(test) else { return };
    let Some(pooler) = Pooler::start_if_installed(&server, 3, test).unwrap() else { return };
    let behind = StoreSettings {
        prepared_statements: false,
        listen_url: Some(StoreUrl(direct.as_str().into())),
        ..settings(&pooler.url("hezar"))
    };
    let mut tasks = Vec::new();
    for instance in 0..4_u64 {
        let store = Postgres::open(&behind, Access::Exclusive).await.unwrap();
        tasks.push(tokio::spawn(async move {
            for n in 0..25 {
                let number = instance * 100 + n;
                store
                    .write(&[Change::PutNode(node(number)), Change::PutRecord(id(number), healthy(number))])
                    .await
                    .unwrap();
                store.add_usage(&[usage("alice", 1)]).await.unwrap();
                let object = ObjectRow {
                    kind: "user".into(),
                    name: format!("{number}").into(),
                    value: "{}".into(),
                    changed: Timestamp(1),
                };
                store.write_control(&[ControlChange::PutObject(object)]).await.unwrap();
                store.load_control().await.unwrap();
            }
            store
        }));
    }
    let mut stores = Vec::new();
    for task in tasks {
        stores.push(task.await.unwrap());
    }
    let loaded = stores[0].load().await.unwrap();
    assert_eq!((loaded.nodes.len(), stores[1].usage_totals().await.unwrap()), (100, vec![usage("alice", 100)]));
    assert_eq!(stores[2].load_control().await.unwrap().objects.len(), 100);
    assert_eq!(
        stores[3].describe().await.unwrap().tables.len(),
        open(&direct).await.unwrap().describe().await.unwrap().tables.len()
    );
}
