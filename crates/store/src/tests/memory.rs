//! Stores in memory: what they begin with after a clean end, a kill, damage and a change of the settings.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::model::{id, node};
use crate::{Access, Change, ControlChange, ObjectRow, Store, StoreError, StoreSettings, open_configured, restore};

/// A data folder and, beside it, a folder that stands for memory. Where the tests run, it need not be tmpfs.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir(machine.data()).unwrap();
        fs::create_dir(machine.memory()).unwrap();
        machine
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn memory(&self) -> PathBuf {
        self.0.path().join("memory")
    }

    fn settings(&self, memory: bool) -> StoreSettings {
        StoreSettings { memory, memory_folder: Some(self.memory()), ..StoreSettings::default() }
    }

    async fn open(&self, memory: bool) -> Result<Arc<dyn Store>, StoreError> {
        open_configured(&self.settings(memory), &self.data(), Access::Exclusive).await
    }

    /// The ids of the nodes that the next start finds, read as commands read them.
    async fn nodes(&self, memory: bool) -> Vec<u64> {
        let store = open_configured(&self.settings(memory), &self.data(), Access::ReadOnly).await.unwrap();
        let nodes = store.load().await.unwrap().nodes;
        store.close().await;
        let mut found: Vec<u64> = nodes.iter().map(|row| (0..100).find(|n| id(*n) == row.id).unwrap()).collect();
        found.sort_unstable();
        found
    }

    /// The machine stops: nothing in memory is left.
    fn power_cut(&self) {
        fs::remove_dir_all(self.memory()).unwrap();
        fs::create_dir(self.memory()).unwrap();
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data().join("snapshots")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "zst")).collect();
        files.sort_unstable();
        files
    }

    fn in_memory(&self) -> usize {
        let folders = fs::read_dir(self.memory()).unwrap().map(|entry| entry.unwrap().path());
        folders.map(|folder| fs::read_dir(folder).unwrap().count()).sum()
    }
}

async fn put(store: &dyn Store, number: u64) {
    store.write(&[Change::PutNode(node(number))]).await.unwrap();
}

/// Ends a store as `kill -9` does: no last snapshot, and the file in memory stays.
fn kill(store: Arc<dyn Store>) {
    drop(store);
}

#[tokio::test]
async fn a_clean_end_keeps_everything_on_the_disk_and_nothing_in_memory() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    put(&*store, 1).await;
    assert_eq!(store.snapshot_status().unwrap().last, None);
    store.close().await;
    store.close().await;
    assert_eq!((machine.snapshots().len(), machine.in_memory()), (1, 0));
    assert!(!machine.data().join("hezar.db").exists());
    machine.power_cut();
    let store = machine.open(true).await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes, [node(1)]);
    assert!(store.snapshot_status().unwrap().last.is_some());
    store.close().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_a_stopped_machine_what_came_after_the_snapshot() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    put(&*store, 1).await;
    let taken = store.snapshot().await.unwrap().unwrap();
    assert_eq!(store.snapshot_status().unwrap().last, Some(taken));
    put(&*store, 2).await;
    kill(store);
    let store = machine.open(true).await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes.len(), 2);
    kill(store);
    machine.power_cut();
    assert_eq!(machine.nodes(true).await, [1]);
}

#[tokio::test]
async fn a_damaged_newest_snapshot_is_set_aside_and_the_one_before_is_used() {
    let damages: [fn(&Path); 3] = [
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
        },
        |path| fs::write(path, "").unwrap(),
    ];
    for damage in damages {
        let machine = Machine::new();
        let store = machine.open(true).await.unwrap();
        put(&*store, 1).await;
        store.snapshot().await.unwrap();
        put(&*store, 2).await;
        store.close().await;
        let newest = machine.snapshots().pop().unwrap();
        damage(&newest);
        let store = machine.open(true).await.unwrap();
        assert_eq!(store.load().await.unwrap().nodes, [node(1)]);
        let aside = PathBuf::from(format!("{}.damaged", newest.display()));
        assert!(aside.exists());
        assert_eq!(store.snapshot_status().unwrap().damaged, [aside]);
        store.close().await;
    }
}

#[tokio::test]
async fn when_every_snapshot_is_damaged_it_begins_empty() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    put(&*store, 1).await;
    store.close().await;
    machine.snapshots().iter().for_each(|path| fs::write(path, "junk").unwrap());
    let store = machine.open(true).await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes, []);
    assert_eq!(store.snapshot_status().unwrap().damaged.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_of_a_newer_version_is_refused_and_stays() {
    let machine = Machine::new();
    let store = machine.open(false).await.unwrap();
    put(&*store, 1).await;
    let copy = machine.0.path().join("copy.db");
    store.backup(&copy, false).await.unwrap();
    store.close().await;
    super::files::meddle(&copy, "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)")
        .await;
    let packed = machine.data().join("snapshots/hezar-20990101T000000Z.db.zst");
    fs::create_dir(machine.data().join("snapshots")).unwrap();
    fs::write(&packed, zstd::encode_all(&*fs::read(&copy).unwrap(), 1).unwrap()).unwrap();
    let error = machine.open(true).await.unwrap_err();
    assert!(matches!(&error, StoreError::Newer { path, found: 9999, .. } if *path == packed), "{error:?}");
    assert!(packed.exists());
}

#[tokio::test]
async fn the_contents_follow_when_the_setting_changes() {
    let machine = Machine::new();
    for (round, memory) in [false, true, true, false, true, false].into_iter().enumerate() {
        let store = machine.open(memory).await.unwrap();
        let expected: Vec<u64> = (1..=round as u64).collect();
        assert_eq!(store.load().await.unwrap().nodes.len(), expected.len(), "round {round}");
        put(&*store, round as u64 + 1).await;
        store.close().await;
        let all: Vec<u64> = (1..=round as u64 + 1).collect();
        assert_eq!(machine.nodes(memory).await, all, "round {round}");
        // Files say when they were written in steps of the kernel's clock, and names in whole seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}

#[tokio::test]
async fn one_instance_at_a_time_also_in_memory() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    for memory in [true, false] {
        assert_eq!(machine.open(memory).await.unwrap_err().code(), "store-in-use");
    }
    put(&*store, 3).await;
    assert_eq!(machine.nodes(true).await, [3], "commands read beside it");
    store.close().await;
}

#[tokio::test]
async fn what_a_person_changed_makes_a_snapshot_urgent() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    put(&*store, 1).await;
    assert!(!store.snapshot_status().unwrap().is_urgent);
    let (kind, name, value) = ("user".into(), "ann".into(), "{}".into());
    let object = ObjectRow { kind, name, value, changed: hezar_core::Timestamp(1) };
    store.write_control(&[ControlChange::PutObject(object)]).await.unwrap();
    assert!(store.snapshot_status().unwrap().is_urgent);
    store.snapshot().await.unwrap();
    assert!(!store.snapshot_status().unwrap().is_urgent);
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_is_told_and_the_older_ones_and_the_memory_stay() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    put(&*store, 1).await;
    store.snapshot().await.unwrap();
    put(&*store, 2).await;
    // A file in the place of the folder: root may write into any folder.
    let (folder, away) = (machine.data().join("snapshots"), machine.data().join("away"));
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "no folder").unwrap();
    store.snapshot().await.unwrap_err();
    let status = store.snapshot_status().unwrap();
    assert_eq!((status.taken, status.failures), (1, 1));
    assert!(status.error.is_some() && status.last.is_some());
    store.close().await;
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    assert_eq!(machine.nodes(true).await, [1, 2], "the last snapshot failed, so the file in memory stays");
}

fn own_folder(machine: &Machine) -> PathBuf {
    fs::read_dir(machine.memory()).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test]
async fn a_folder_that_is_somebody_elses_is_refused() {
    let machine = Machine::new();
    let store = machine.open(true).await.unwrap();
    let own = own_folder(&machine);
    store.close().await;
    assert!(!own.exists());
    let elsewhere = machine.0.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&elsewhere, &own).unwrap();
        let error = machine.open(true).await.unwrap_err();
        assert_eq!(error.code(), "store-memory");
        assert!(error.to_string().contains("store.memory_folder"), "{error}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_backup_comes_back_in_memory_and_on_the_disk() {
    for (memory, name) in [(false, "b.db"), (false, "b.db.zst"), (true, "b.db"), (true, "b.db.zst")] {
        let machine = Machine::new();
        let (store, backup) = (machine.open(memory).await.unwrap(), machine.0.path().join(name));
        put(&*store, 1).await;
        store.backup(&backup, false).await.unwrap();
        put(&*store, 2).await;
        let settings = machine.settings(memory);
        let refused = restore(&settings, &machine.data(), &backup).await.unwrap_err();
        assert_eq!(refused.code(), "store-in-use");
        // What a killed process left in memory does not come before the backup.
        if memory {
            kill(store)
        } else {
            store.close().await
        }
        let report = restore(&settings, &machine.data(), &backup).await.unwrap();
        assert_eq!((report.summary.nodes, report.summary.users), (1, 0));
        assert_eq!(machine.nodes(memory).await, [1], "{memory} {name}");
        let kept = report.kept.unwrap();
        assert!(kept.exists());
        // What was there comes back in the same way.
        restore(&settings, &machine.data(), &kept).await.unwrap();
        assert_eq!(machine.nodes(memory).await, [1, 2], "{memory} {name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o077, 0);
        }
    }
}

#[tokio::test]
async fn a_backup_that_is_none_changes_nothing() {
    let machine = Machine::new();
    let store = machine.open(false).await.unwrap();
    put(&*store, 1).await;
    let good = machine.0.path().join("good.db.zst");
    store.backup(&good, false).await.unwrap();
    store.close().await;
    let (bytes, file) = (fs::read(&good).unwrap(), machine.0.path().join("file"));
    let cut = &bytes[..bytes.len() / 2];
    for (content, code) in [
        (&b""[..], "store-not-a-database"),
        (b"just some text, longer than a header", "store-not-a-database"),
        (cut, "store-corrupt"),
    ] {
        fs::write(&file, content).unwrap();
        let error = restore(&machine.settings(false), &machine.data(), &file).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains("file"), "{error}");
    }
    let absent = machine.0.path().join("absent");
    assert_eq!(restore(&machine.settings(false), &machine.data(), &absent).await.unwrap_err().code(), "store-io");
    let folder = restore(&machine.settings(false), &machine.data(), machine.0.path()).await.unwrap_err();
    assert!(folder.to_string().contains("a backup is a file"), "{folder}");
    assert_eq!(machine.nodes(false).await, [1]);
    let names = fs::read_dir(machine.data()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("partial")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_backup_replaces_a_file_only_when_asked_to() {
    let machine = Machine::new();
    let store = machine.open(false).await.unwrap();
    for name in ["b.db", "b.db.zst"] {
        let file = machine.0.path().join(name);
        fs::write(&file, "precious").unwrap();
        assert_eq!(store.backup(&file, false).await.unwrap_err().code(), "store-backup-exists");
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        store.backup(&file, true).await.unwrap();
        assert!(fs::metadata(&file).unwrap().len() > 100);
    }
    store.close().await;
}
