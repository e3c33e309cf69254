//! What can be wrong with the file, and what the user reads.

use std::{fs, path::Path};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::model::{id, node};
use crate::{Access, Change, Sqlite, Store, StoreError, StoreSettings, StrangeRow, open, restore};

async fn refusal(path: &Path, access: Access) -> StoreError {
    let error = Sqlite::open(path, access).await.unwrap_err();
    assert!(StoreError::CODES.iter().any(|doc| doc.code == error.code()));
    error
}

/// Runs statements on a file as another program would.
pub(super) async fn meddle(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent/hezar.db");
    for access in [Access::Exclusive, Access::ReadOnly] {
        let error = refusal(&path, access).await;
        assert_eq!(error.code(), "store-directory");
        assert!(error.to_string().contains("absent does not exist; create it"));
    }
}

#[tokio::test]
async fn other_files_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    fs::write(&text, "just some text, longer than a header").unwrap();
    assert_eq!(refusal(&text, Access::Exclusive).await.code(), "store-not-a-database");
    assert_eq!(refusal(&text, Access::ReadOnly).await.code(), "store-not-a-database");
    assert_eq!(fs::read_to_string(&text).unwrap(), "just some text, longer than a header");
    assert_eq!(refusal(directory.path(), Access::Exclusive).await.code(), "store-not-a-database");

    let foreign = directory.path().join("other.db");
    meddle(&foreign, "CREATE TABLE proxies (whatever TEXT)").await;
    assert_eq!(refusal(&foreign, Access::Exclusive).await.code(), "store-foreign");
    assert_eq!(refusal(&foreign, Access::ReadOnly).await.code(), "store-foreign");
}

#[tokio::test]
async fn a_newer_schema_asks_for_an_update() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    Sqlite::open(&path, Access::Exclusive).await.unwrap().close().await;
    meddle(&path, "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)").await;
    for access in [Access::Exclusive, Access::ReadOnly] {
        let error = refusal(&path, access).await;
        assert!(matches!(error, StoreError::Newer { found: 9999, known: 8.., .. }), "{error:?}");
        assert!(error.to_string().contains("update hezar"));
    }
}

#[tokio::test]
async fn damage_is_called_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    Sqlite::open(&path, Access::Exclusive).await.unwrap().close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    assert_eq!(refusal(&path, Access::Exclusive).await.code(), "store-corrupt");
}

#[tokio::test]
async fn one_instance_at_a_time_and_readers_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    assert_eq!(refusal(&path, Access::ReadOnly).await.code(), "store-missing");
    let first = Sqlite::open(&path, Access::Exclusive).await.unwrap();
    let error = refusal(&path, Access::Exclusive).await;
    assert!(matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error:?}");

    first.write(&[Change::PutNode(node(1))]).await.unwrap();
    let reader = Sqlite::open(&path, Access::ReadOnly).await.unwrap();
    assert_eq!(reader.load().await.unwrap().nodes, [node(1)]);
    assert_eq!(reader.write(&[Change::PutNode(node(2))]).await.unwrap_err().code(), "store-read-only");
    reader.backup(&directory.path().join("copy.db"), false).await.unwrap();

    first.close().await;
    let second = Sqlite::open(&path, Access::Exclusive).await.unwrap();
    assert_eq!(second.load().await.unwrap().nodes.len(), 1);
}

#[tokio::test]
async fn a_backup_is_a_store_and_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let store = open("sqlite:hezar.db", directory.path(), Access::Exclusive).await.unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    let copy = directory.path().join("copy.db");
    fs::write(directory.path().join("copy.db.partial"), "left by a crash").unwrap();
    store.backup(&copy, false).await.unwrap();
    store.write(&[Change::PutNode(node(2))]).await.unwrap();
    assert_eq!(store.backup(&copy, false).await.unwrap_err().code(), "store-backup-exists");
    assert_eq!(store.backup(&directory.path().join("no/copy.db"), false).await.unwrap_err().code(), "store-directory");
    assert!(!directory.path().join("copy.db.partial").exists());
    let copy = Sqlite::open(&copy, Access::Exclusive).await.unwrap();
    assert_eq!(copy.load().await.unwrap().nodes, [node(1)]);
}

#[tokio::test]
async fn rows_of_others_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    let store = Sqlite::open(&path, Access::Exclusive).await.unwrap();
    store.write(&[Change::PutNode(node(1)), Change::PutNode(node(2))]).await.unwrap();
    store.close().await;
    meddle(
        &path,
        "UPDATE proxies SET state = 'odd' WHERE label LIKE 'node 2%'; INSERT INTO listings VALUES ('s', 'no id')",
    )
    .await;
    let state = Sqlite::open(&path, Access::Exclusive).await.unwrap().load().await.unwrap();
    assert_eq!((state.nodes.len(), state.listings.len()), (1, 0));
    assert_eq!(state.strange, [StrangeRow { id: id(2).to_string().into(), since: None }]);
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open("sqlite:hezar.db", directory.path(), Access::Exclusive).await.unwrap();
    store.write(&[Change::PutNode(node(1))]).await.unwrap();
    store.backup(&directory.path().join("copy.db"), false).await.unwrap();
    #[cfg(unix)]
    for entry in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{entry:?}");
    }
}

#[tokio::test]
async fn other_urls_are_refused_without_their_password() {
    let error = open("mysql://user:hunter2@host/db", Path::new("."), Access::Exclusive).await.unwrap_err();
    assert_eq!(error.code(), "store-url");
    assert!(!error.to_string().contains("hunter2"));
    for url in ["", "sqlite", "sqlite:", "hezar.db"] {
        assert_eq!(open(url, Path::new("."), Access::Exclusive).await.unwrap_err().code(), "store-url");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (path, victim) = (directory.path().join("hezar.db"), directory.path().join("victim.txt"));
    fs::write(&victim, "precious content").unwrap();
    std::os::unix::fs::symlink(&victim, directory.path().join("hezar.db.lock")).unwrap();
    refusal(&path, Access::Exclusive).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious content");
}

/// The guide lets root restore, and the service runs as another user.
#[cfg(unix)]
#[tokio::test]
async fn what_root_restores_is_the_folders_owners() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup.db"));
    let store = Sqlite::open(&folder.path().join("hezar.db"), Access::Exclusive).await.unwrap();
    store.backup(&backup, false).await.unwrap();
    store.close().await;
    fs::create_dir(&data).unwrap();
    if chown(&data, Some(4321), Some(4321)).is_err() {
        eprintln!("skipped: only root can give a folder to another user");
        return;
    }
    let memory_folder = folder.path().join("memory");
    fs::create_dir(&memory_folder).unwrap();
    for memory in [false, true] {
        let settings = StoreSettings { memory, memory_folder: Some(memory_folder.clone()), ..StoreSettings::default() };
        restore(&settings, &data, &backup).await.unwrap();
    }
    // The database, its lock, the folder of snapshots and one in it.
    let (mut folders, mut seen) = (vec![data], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::metadata(&path).unwrap();
            assert_eq!((about.uid(), about.gid()), (4321, 4321), "{}", path.display());
            seen += 1;
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen >= 4, "{seen}");
    assert_eq!(fs::read_dir(memory_folder).unwrap().count(), 0, "a folder in memory that the service cannot use");
}
