//! Real failures under SQLite: a full disk, a file that another program locks, a file system that turns read-only. The
//! tests that mount a file system need root and say so when they are skipped.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio_util::sync::CancellationToken;

use super::model::{id, node};
use crate::{
    Access, Change, ControlChange, Durability, ObjectRow, Sqlite, Store, StoreError, WriteSummary, Writer, WriterConfig,
};

/// How long a change may take to become durable where the disk works again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one waits for what cannot be written.
const SHORT: Duration = Duration::from_millis(1500);

/// A small file system in memory; it is unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None`, with a line that says so, where this process may not mount.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=1500k", "tmpfs"], folder.path());
        if !mounted {
            eprintln!("SKIPPED {test}: mounting a file system needs root");
        }
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> std::path::PathBuf {
        let path = self.path().join("fill");
        let _ = fs::write(&path, vec![1; 4 << 20]);
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        run("umount", &["-l"], self.path());
    }
}

/// A file system on a file, which can be made to fail as the kernel makes it fail after an I/O error.
struct Ext4(tempfile::TempDir);

impl Ext4 {
    fn mount(test: &str) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        fs::create_dir(disk.path()).unwrap();
        fs::write(disk.image(), vec![0; 8 << 20]).unwrap();
        let mounted = run("mkfs.ext4", &["-q", "-F"], &disk.image()) && disk.mount_image();
        if !mounted {
            eprintln!("SKIPPED {test}: mounting a file system needs root, mkfs.ext4 and loop devices");
        }
        mounted.then_some(disk)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("disk")
    }

    fn image(&self) -> std::path::PathBuf {
        self.0.path().join("image")
    }

    fn mount_image(&self) -> bool {
        let image = self.image();
        run("mount", &["-o", "loop,errors=remount-ro", image.to_str().unwrap()], &self.path())
    }

    /// The file system meets an error and turns read-only, under open files.
    fn fail(&self) {
        assert!(run("mount", &["-o", "remount,abort"], &self.path()));
    }

    /// Puts a repaired copy of the medium in its place, as after a reboot.
    fn repair(&self) {
        assert!(run("umount", &["-l"], &self.path()));
        let copy = self.0.path().join("copy");
        fs::copy(self.image(), &copy).unwrap();
        fs::rename(copy, self.image()).unwrap();
        // Its code says that something was repaired.
        run("e2fsck", &["-f", "-y"], &self.image());
        assert!(self.mount_image());
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.path());
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

struct Running {
    store: Arc<dyn Store>,
    writer: Writer,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<WriteSummary>,
}

async fn start(path: &Path) -> Running {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(path, Access::Exclusive).await.unwrap());
    let (writer, behind) = Writer::new(Arc::clone(&store), WriterConfig::default());
    let stop = CancellationToken::new();
    let task = tokio::spawn(behind.run(stop.clone()));
    Running { store, writer, stop, task }
}

impl Running {
    async fn put(&self, number: u64, wait: Duration) -> Durability {
        self.writer.durable(vec![Change::PutNode(node(number))], wait).await.unwrap()
    }

    async fn end(self) -> WriteSummary {
        self.stop.cancel();
        let summary = self.task.await.unwrap();
        self.store.close().await;
        summary
    }
}

async fn stored(path: &Path) -> Vec<hezar_core::NodeId> {
    let store = Sqlite::open(path, Access::Exclusive).await.unwrap();
    let mut ids: Vec<_> = store.load().await.unwrap().nodes.iter().map(|row| row.id).collect();
    store.close().await;
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<hezar_core::NodeId>) -> Vec<hezar_core::NodeId> {
    ids.sort();
    ids
}

#[tokio::test]
async fn a_disk_that_was_full_is_written_again() {
    let Some(disk) = Tmpfs::mount("a_disk_that_was_full_is_written_again") else { return };
    let path = disk.path().join("p.db");
    let running = start(&path).await;
    assert_eq!(running.put(1, PATIENCE).await, Durability::Durable);
    for round in 0..3 {
        let fill = disk.fill();
        let many = (0..500).map(|n| Change::PutNode(node(1000 + round * 1000 + n))).collect();
        let said = running.writer.durable(many, SHORT).await.unwrap();
        assert_eq!(said, Durability::Behind, "round {round}");
        let status = running.writer.status();
        assert!(status.behind.is_some() && status.pending >= 500, "{status:?}");
        assert_eq!(status.last_error.unwrap().code, "store-full");
        fs::remove_file(fill).unwrap();
        assert_eq!(running.put(2 + round, PATIENCE).await, Durability::Durable, "round {round}");
        assert_eq!(running.writer.status().behind, None);
    }
    assert_eq!(running.end().await.lost, 0);
    let expected = [1, 2, 3, 4].into_iter().chain((0..3).flat_map(|r| (0..500).map(move |n| 1000 + r * 1000 + n)));
    assert_eq!(stored(&path).await, sorted(expected.map(id).collect()));
}

#[tokio::test]
async fn an_object_that_a_full_disk_does_not_take_is_not_confirmed() {
    let Some(disk) = Tmpfs::mount("an_object_that_a_full_disk_does_not_take_is_not_confirmed") else { return };
    let path = disk.path().join("p.db");
    let store = Sqlite::open(&path, Access::Exclusive).await.unwrap();
    let put = |name: &str| {
        let value = "x".repeat(20_000).into();
        [ControlChange::PutObject(ObjectRow {
            kind: "source".into(),
            name: name.into(),
            value,
            changed: hezar_core::Timestamp(1),
        })]
    };
    store.write_control(&put("first")).await.unwrap();
    let fill = disk.fill();
    // The write-ahead log may have room for some more.
    let mut confirmed = 1;
    let refused = loop {
        match store.write_control(&put(&format!("more {confirmed}"))).await {
            Ok(()) => confirmed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert_eq!(store.load_control().await.unwrap().objects.len(), confirmed);
    fs::remove_file(fill).unwrap();
    store.write_control(&put("last")).await.unwrap();
    store.close().await;
    let again = Sqlite::open(&path, Access::Exclusive).await.unwrap();
    assert_eq!(again.load_control().await.unwrap().objects.len(), confirmed + 1);
    again.close().await;
}

#[tokio::test]
async fn a_file_system_that_failed_and_turned_read_only_is_written_again() {
    let Some(disk) = Ext4::mount("a_file_system_that_failed_and_turned_read_only_is_written_again") else { return };
    let path = disk.path().join("p.db");
    let running = start(&path).await;
    assert_eq!(running.put(1, PATIENCE).await, Durability::Durable);
    disk.fail();
    assert_eq!(running.put(2, SHORT).await, Durability::Behind);
    assert_eq!(running.put(3, SHORT).await, Durability::Behind);
    let status = running.writer.status();
    let code = status.last_error.unwrap().code;
    assert!(["store-io", "store-read-only"].contains(&code), "{code}");
    // What was acknowledged before is on the medium, and what was not is written as soon as there is one.
    disk.repair();
    assert_eq!(running.put(4, PATIENCE).await, Durability::Durable);
    assert_eq!(running.end().await.lost, 0);
    assert_eq!(stored(&path).await, sorted([1, 2, 3, 4].into_iter().map(id).collect()));
}

#[tokio::test]
async fn a_file_that_another_program_locks_is_written_when_it_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    let running = start(&path).await;
    assert_eq!(running.put(1, PATIENCE).await, Durability::Durable);
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert_eq!(running.put(2, SHORT).await, Durability::Behind);
    // SQLite itself waits five seconds for the lock before it says that it is busy.
    assert_eq!(running.put(3, Duration::from_secs(7)).await, Durability::Behind);
    let status = running.writer.status();
    assert_eq!(status.last_error.unwrap().code, "store-busy");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(running.put(4, PATIENCE).await, Durability::Durable);
    other.close().await.unwrap();
    assert_eq!(running.end().await.lost, 0);
    assert_eq!(stored(&path).await, sorted([1, 2, 3, 4].into_iter().map(id).collect()));
}

#[tokio::test]
async fn one_change_that_the_database_refuses_is_dropped_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hezar.db");
    let running = start(&path).await;
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let refuse = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON proxies WHEN new.id = '{}' BEGIN SELECT RAISE(ABORT, 'never'); END",
        id(250)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(refuse)).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let many = (0..500).map(|n| Change::PutNode(node(n))).collect();
    assert_eq!(running.writer.durable(many, PATIENCE).await, Ok(Durability::Refused));
    let status = running.writer.status();
    assert_eq!((status.summary.lost, status.last_error.unwrap().code), (1, "store-query"));
    assert_eq!(running.put(1000, PATIENCE).await, Durability::Durable);
    assert_eq!(running.end().await.lost, 1);
    let expected = (0..500).filter(|n| *n != 250).chain([1000]).map(id).collect();
    assert_eq!(stored(&path).await, sorted(expected));
}
