//! A store that another process has for a time.

use hezar_core::UtcDay;

use super::{files::meddle, place::Place};
use crate::{Access, ReleasableStore, Retry, Store, StoreSettings, StoreUrl, UsageRow, open_configured};

fn settings() -> StoreSettings {
    StoreSettings { url: StoreUrl("sqlite:p.db".into()), ..StoreSettings::default() }
}

#[tokio::test]
async fn another_process_can_have_it_and_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, path) = (settings(), folder.path());
    let store = ReleasableStore::open(&settings, path).await.unwrap();
    assert!(open_configured(&settings, path, Access::Exclusive).await.is_err(), "it is in use");
    store.release().await;
    // Writers try again until it is back.
    let refused = store.add_usage(&[]).await.unwrap_err();
    assert_eq!((refused.code(), refused.retry()), ("store-in-use", Retry::Soon));
    let other = open_configured(&settings, path, Access::Exclusive).await.unwrap();
    assert!(store.take_back().await.is_err());
    other.close().await;
    store.take_back().await.unwrap();
    store.add_usage(&[]).await.unwrap();
}

#[tokio::test]
async fn what_a_newer_version_has_changed_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, path) = (settings(), folder.path());
    let store = ReleasableStore::open(&settings, path).await.unwrap();
    let row = UsageRow { user: "alice".into(), day: UtcDay(20_000), up: 1, down: 2 };
    store.add_usage(std::slice::from_ref(&row)).await.unwrap();
    store.keep_copy().await.unwrap();
    store.release().await;
    meddle(&path.join("p.db"), "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)")
        .await;
    store.take_back().await.unwrap();
    assert_eq!(store.usage_totals().await.unwrap(), [row]);
}

#[tokio::test]
async fn one_that_several_share_stays_open_while_it_is_released() {
    let Some(place) = Place::postgres("one_that_several_share_stays_open_while_it_is_released") else { return };
    let settings = StoreSettings { url: StoreUrl(place.url().into()), ..StoreSettings::default() };
    let store = ReleasableStore::open(&settings, place.folder()).await.unwrap();
    let shared = store.shared().unwrap();
    store.keep_copy().await.unwrap();
    store.release().await;
    let refused = store.add_usage(&[]).await.unwrap_err();
    assert_eq!((refused.code(), refused.retry()), ("store-in-use", Retry::Soon));
    let row = UsageRow { user: "alice".into(), day: UtcDay(20_000), up: 1, down: 2 };
    shared.add_usage(std::slice::from_ref(&row)).await.unwrap();
    let successor = open_configured(&settings, place.folder(), Access::Exclusive).await.unwrap();
    assert_eq!(successor.usage_totals().await.unwrap(), std::slice::from_ref(&row));
    store.take_back().await.unwrap();
    assert_eq!(store.usage_totals().await.unwrap(), [row]);
    store.release().await;
    store.close().await;
    assert_eq!(shared.load().await.unwrap_err().code(), "store-closed");
    successor.close().await;
}
