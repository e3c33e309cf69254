//! Everything moves from one kind of store into the other and back, and an abort leaves what was there.

use std::time::Duration;

use hezar_core::{Timestamp, UtcDay};
use tokio::sync::mpsc;

use super::{
    model::{healthy, id, node, sorted},
    place::Place,
};
use crate::{
    Access, AnnotationRow, AuditQuery, AuditRow, BanRow, Change, Contents, ControlChange, CopyCounts, CopyReport,
    DashboardKind, DashboardRow, HistoryRow, HistorySample, HistoryStep, NodeRow, ObjectRow, Postgres, SessionName,
    SessionRow, SiteBanRow, SourceRow, Store, StoreError, StorePlace, StoreSettings, StoreUrl, TokenRow, UsageRow,
    copy_store, transfer::Batch,
};

fn at(place: &Place, url: &str) -> StorePlace {
    let settings = StoreSettings { url: StoreUrl(url.into()), ..StoreSettings::default() };
    StorePlace { settings, directory: place.folder().to_owned() }
}

async fn copy(from: &StorePlace, to: &StorePlace, replace: bool) -> Result<CopyReport, StoreError> {
    copy_store(from, to, replace, &|_| {}).await
}

/// One or more rows of every kind.
async fn fill(store: &dyn Store) {
    let mut changes: Vec<Change> = (0..300).map(|n| Change::PutNode(node(n))).collect();
    changes.extend((0..300).step_by(2).map(|n| Change::PutRecord(id(n), healthy(n))));
    let NodeRow { id: banned, uri, label, .. } = node(7);
    changes.extend([
        // A text that PostgreSQL cannot hold as it is.
        Change::PutNode(NodeRow {
            label: "a NUL \0 and a backslash \\0".into(),
            kept_from: Some("a".into()),
            ..node(5)
        }),
        Change::PutSource(SourceRow { last_ok: Some(Timestamp(5)), ..SourceRow::new("a", "url") }),
        Change::SetListing { source: "a".into(), ids: (0..300).map(id).collect(), complete: true },
        Change::SetListing { source: "b".into(), ids: vec![id(1), id(999)], complete: true },
        Change::PutSession(SessionRow {
            name: SessionName { listener: "l".into(), user: "u".into(), session: "s".into() },
            country: Some(*b"DE"),
            began: Timestamp(1),
            ends: Timestamp(2),
            lasts: Duration::from_millis(3),
            exit_ip: "192.0.2.1".parse().ok(),
            node: Some(id(1)),
        }),
        Change::PutBan(BanRow { id: banned, uri: uri.clone(), label, since: Timestamp(9) }),
        Change::PutSiteBan(SiteBanRow {
            site: "example.test".into(),
            exit: "2001:db8::7".parse().unwrap(),
            since: Timestamp(1),
            until: Timestamp(2),
            reason: "no".into(),
        }),
        Change::PutAnnotation(AnnotationRow {
            id: banned,
            uri,
            disabled: true,
            pinned: false,
            tags: vec!["x".into(), "y".into()],
            note: "n".into(),
            changed: Timestamp(3),
        }),
        Change::PutDashboard(DashboardRow { kind: DashboardKind::Storage, key: "k".into(), value: "v".into() }),
        Change::PutHistory(HistoryRow {
            step: HistoryStep::Hour,
            at: Timestamp(3_600_000),
            sample: HistorySample {
                samples: 3,
                up: 7,
                requests: [("ok".into(), 2)].into(),
                ..HistorySample::default()
            },
        }),
    ]);
    store.write(&changes).await.unwrap();
    let value = "{\"password\":\"p\"}".into();
    let line = |number: u64| AuditRow {
        id: 0,
        at: Timestamp(number),
        who: "admin".into(),
        via: "api".into(),
        action: "create".into(),
        kind: "user".into(),
        name: format!("{number}").into(),
        old: None,
        new: Some("{}".into()),
    };
    let (created, last_used) = (Timestamp(1), Some(Timestamp(2)));
    let control = [
        ControlChange::PutObject(ObjectRow { kind: "user".into(), name: "alice".into(), value, changed: Timestamp(1) }),
        ControlChange::PutToken(TokenRow {
            name: "t".into(),
            hash: "h".into(),
            scope: "read".into(),
            created,
            last_used,
        }),
        ControlChange::Audit(line(1)),
        ControlChange::Audit(line(2)),
    ];
    store.write_control(&control).await.unwrap();
    let usage: Vec<_> =
        (0..90).map(|day| UsageRow { user: "alice".into(), day: UtcDay(20_000 + day), up: 1, down: 2 }).collect();
    store.add_usage(&usage).await.unwrap();
}

#[tokio::test]
async fn everything_moves_to_postgresql_and_back() {
    let Some(shared) = Place::postgres("everything_moves_to_postgresql_and_back") else { return };
    let file = Place::sqlite();
    let store = file.open().await;
    fill(&*store).await;
    let (original, database) = (at(&file, file.url()), at(&shared, shared.url()));
    // The source may be in use.
    let there = copy(&original, &database, false).await.unwrap();
    let expected = CopyCounts {
        nodes: 300,
        listed: 302,
        sources: 1,
        sessions: 1,
        bans: 1,
        site_bans: 1,
        annotations: 1,
        dashboard: 1,
        objects: 1,
        tokens: 1,
        usage: 90,
        history: 1,
        audit: 2,
    };
    assert_eq!(there.counts, expected);
    let back = copy(&database, &at(&file, "sqlite:back.db"), false).await.unwrap();
    assert_eq!((&back.counts, &back.digest), (&there.counts, &there.digest));
    let other = crate::open("sqlite:back.db", file.folder(), Access::ReadOnly).await.unwrap();
    let without_nul = |mut contents: Contents| {
        contents.nodes.iter_mut().for_each(|node| node.label = node.label.replace('\0', "\u{fffd}").into());
        contents
    };
    assert_eq!(sorted(other.load().await.unwrap()), without_nul(sorted(store.load().await.unwrap())));
    assert_eq!(other.load_control().await.unwrap(), store.load_control().await.unwrap());
    assert_eq!(other.usage_totals().await.unwrap(), store.usage_totals().await.unwrap());
    let all = AuditQuery { limit: 9, ..AuditQuery::default() };
    assert_eq!(other.audit(&all).await.unwrap(), store.audit(&all).await.unwrap());
    // One row that differs is another digest.
    store.write(&[Change::PutRecord(id(2), healthy(9999))]).await.unwrap();
    let again = copy(&original, &database, true).await.unwrap();
    assert_eq!((again.counts, again.digest == there.digest), (there.counts, false));
    assert_eq!((again.kept, again.strange), (None, 0));
    store.close().await;
}

#[tokio::test]
async fn an_instance_that_ends_just_now_is_waited_for() {
    let Some(place) = Place::postgres("an_instance_that_ends_just_now_is_waited_for") else { return };
    let source = Place::sqlite();
    source.open().await.close().await;
    let instance = place.open().await;
    let ending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        instance.close().await;
    };
    let (from, to) = (at(&source, source.url()), at(&place, place.url()));
    let (copied, ()) = tokio::join!(copy(&from, &to, true), ending);
    copied.unwrap();
}

#[tokio::test]
async fn a_target_that_holds_something_or_is_in_use_is_refused() {
    let places = Place::all("a_target_that_holds_something_or_is_in_use_is_refused");
    let source = Place::sqlite();
    source.open().await.close().await;
    for place in places {
        let store = place.open().await;
        store.write(&[Change::PutNode(node(1))]).await.unwrap();
        let (from, to) = (at(&source, source.url()), at(&place, place.url()));
        assert_eq!(copy(&from, &to, true).await.unwrap_err().code(), "store-in-use");
        store.close().await;
        assert_eq!(copy(&from, &to, false).await.unwrap_err().code(), "store-not-empty");
        let replaced = copy(&from, &to, true).await.unwrap();
        assert_eq!((replaced.counts, replaced.kept.is_some()), (CopyCounts::default(), !place.is_shared));
        assert_eq!(place.open().await.load().await.unwrap(), Contents::default());
    }
}

#[tokio::test]
async fn a_copy_that_ends_half_way_leaves_what_was_there() {
    let Some(place) = Place::postgres("a_copy_that_ends_half_way_leaves_what_was_there") else { return };
    let store = place.open().await;
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    store.close().await;
    let settings = at(&place, place.url()).settings;
    let target = Postgres::open(&settings, Access::Exclusive).await.unwrap();
    let (batches, received) = mpsc::channel(1);
    let send = async {
        batches.send(Batch::Changes(vec![Change::PutNode(node(2))])).await.unwrap();
        // The end never comes.
        drop(batches);
    };
    let (filled, ()) = tokio::join!(target.fill(received, true), send);
    filled.unwrap();
    let nodes = target.load().await.unwrap().nodes;
    assert_eq!(nodes, [node(1)]);
    target.close().await;
}

#[tokio::test]
async fn every_store_writes_a_backup_that_is_a_file() {
    for place in Place::all("every_store_writes_a_backup_that_is_a_file") {
        let store = place.open().await;
        fill(&*store).await;
        for name in ["backup.db", "backup.db.zst"] {
            let file = place.folder().join(name);
            store.backup(&file, false).await.unwrap();
            assert_eq!(store.backup(&file, false).await.unwrap_err().code(), "store-backup-exists");
            store.backup(&file, true).await.unwrap();
            let report = crate::check_backup(place.folder(), &file).await.unwrap();
            assert_eq!((report.summary.nodes, report.summary.routable, report.summary.users), (300, 150, 1));
        }
        let left = std::fs::read_dir(place.folder()).unwrap().flatten();
        let partial = left.filter(|entry| entry.file_name().to_string_lossy().contains("partial")).count();
        assert_eq!(partial, 0);
    }
}

#[tokio::test]
async fn every_store_says_what_it_is() {
    for place in Place::all("every_store_says_what_it_is") {
        let store = place.open().await;
        fill(&*store).await;
        let about = store.describe().await.unwrap();
        let kind = if place.is_shared { "PostgreSQL 1" } else { "SQLite 3" };
        assert!(about.database.starts_with(kind), "{}", about.database);
        assert!(about.bytes > 50_000 && about.schema > 0 && !about.place.contains("secret"), "{about:?}");
        let rows = |name: &str| about.tables.iter().find(|table| &*table.name == name).map(|table| table.rows);
        assert_eq!(
            (rows("proxies"), rows("usage"), rows("audit"), rows("nothing")),
            (Some(300), Some(90), Some(2), None)
        );
    }
}
