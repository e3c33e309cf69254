//! What every kind of store must do, told once.

use super::{
    model::{Model, healthy, id, node, sorted},
    place::Place,
};
use crate::{Change, Contents, SourceError, SourceRow, Store};

#[tokio::test]
async fn every_store_remembers() {
    for place in Place::all("every_store_remembers") {
        remembers(&place).await;
    }
}

#[tokio::test]
async fn every_store_takes_a_big_batch() {
    for place in Place::all("every_store_takes_a_big_batch") {
        big_batch(&place).await;
    }
}

async fn remembers(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.load().await.unwrap(), Contents::default());
    let mut model = Model::of(place);
    let error = SourceError { code: "http-status".into(), text: "the server answered 404".into() };
    let failing = SourceRow { error: Some(error), failures: 3, ..SourceRow::new("b", "github") };
    let first = vec![
        Change::PutSource(SourceRow::new("a", "url")),
        Change::PutSource(failing),
        Change::PutNode(node(1)),
        Change::PutNode(node(2)),
        Change::PutNode(node(3)),
        Change::SetListing { source: "a".into(), ids: vec![id(1), id(2)], complete: true },
        Change::SetListing { source: "b".into(), ids: vec![id(2), id(3), id(99)], complete: true },
        Change::PutRecord(id(2), healthy(7)),
        Change::PutRecord(id(98), healthy(7)),
    ];
    write(&*store, &mut model, &first).await;
    let second = vec![
        Change::PutRecord(id(2), healthy(1)),
        Change::PutRecord(id(2), healthy(2)),
        Change::RemoveNode(id(3)),
        Change::PutNode(node(3)),
        Change::SetListing { source: "a".into(), ids: vec![id(3)], complete: false },
        Change::RemoveSource("b".into()),
        Change::SetListing { source: "c".into(), ids: vec![], complete: true },
    ];
    write(&*store, &mut model, &second).await;

    let mut rest = sorted(store.load_all_but_nodes().await.unwrap());
    // What is listed and not there is told as in the first part of a whole.
    rest.listings.iter_mut().for_each(|listing| listing.ids.retain(|known| ![id(98), id(99)].contains(known)));
    rest.listings.retain(|listing| !listing.ids.is_empty());
    assert_eq!(rest, Contents { nodes: Vec::new(), ..model.state() });
    if !place.is_shared {
        store.backup(&place.folder().join("copy.db"), false).await.unwrap();
    }
    store.close().await;
    assert_eq!(store.load().await.unwrap_err().code(), "store-closed");
    drop(store);

    let store = place.open().await;
    assert_eq!(sorted(store.load().await.unwrap()), model.state());
    let two = store.load().await.unwrap().nodes.into_iter().find(|row| row.id == id(2)).unwrap();
    assert_eq!((two.record.state, two.record.latency.unwrap().as_millis()), (hezar_core::State::Healthy, 2));
}

async fn write(store: &dyn Store, model: &mut Model, changes: &[Change]) {
    store.write(changes).await.unwrap();
    changes.iter().for_each(|change| model.apply(change));
    assert_eq!(sorted(store.load().await.unwrap()), model.state());
}

async fn big_batch(place: &Place) {
    let store = place.open().await;
    let mut changes: Vec<Change> = (0..20_011).map(|n| Change::PutNode(node(n))).collect();
    changes.push(Change::SetListing { source: "all".into(), ids: (0..20_011).map(id).collect(), complete: true });
    changes.extend((0..20_011).step_by(2).map(|n| Change::PutRecord(id(n), healthy(n))));
    changes.extend((0..20_011).step_by(3).map(|n| Change::RemoveNode(id(n))));
    store.write(&changes).await.unwrap();
    let mut model = Model::of(place);
    changes.iter().for_each(|change| model.apply(change));
    assert_eq!(sorted(store.load().await.unwrap()), model.state());
}
