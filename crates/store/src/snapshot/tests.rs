//! Names, pruning and damage of snapshots, without a database.

use super::*;

fn snapshots(folder: &Path, most: usize) -> Snapshots {
    Snapshots::new(&folder.join("hezar.db"), most, Duration::from_secs(3600))
}

fn at(minutes: u64) -> Timestamp {
    Timestamp(1_796_000_000_000 + minutes * 60_000)
}

/// Takes a snapshot of some bytes.
fn take(snapshots: &Snapshots, minutes: u64, content: &[u8]) -> Result<SnapshotFile, StoreError> {
    let to = snapshots.next(at(minutes)).unwrap();
    let copy = file::reserve(&to.with_extension("")).unwrap();
    fs::write(&copy, content).unwrap();
    snapshots.keep(&copy, &to, Pace::Unlimited)
}

#[test]
fn names_are_times_and_read_back() {
    let name = SnapshotName::at_time(Timestamp(1_796_043_600_000));
    assert_eq!(name.text("hezar"), "hezar-20261130T130000Z.db.zst");
    for seconds in [0, 1, 951_782_400, 1_796_043_600, 4_102_444_799] {
        let name = SnapshotName::at_time(Timestamp(seconds * 1000));
        assert_eq!(SnapshotName::read(&name.text("a-b"), "a-b"), Some(name));
        assert_eq!(name.at(), Timestamp(seconds * 1000));
    }
    for other in [
        "hezar-20261129T130000Z.db",
        "other-20261129T130000Z.db.zst",
        "hezar-20260229T130000Z.db.zst",
        "hezar-20261129T250000Z.db.zst",
        "hezar-99999999999999991129T130000Z.db.zst",
        "hezar-1é61129T130000Z.db.zst",
        "hezar-T130000Z.db.zst",
        "hezar-",
        "",
    ] {
        assert_eq!(SnapshotName::read(other, "hezar"), None, "{other}");
    }
}

#[test]
fn a_snapshot_holds_what_was_copied_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 3);
    let content = vec![7; 3 << 20];
    let taken = take(&snapshots, 0, &content).unwrap();
    assert!(taken.bytes < 10_000 && is_compressed(&taken.path).unwrap());
    let to = folder.path().join("again");
    fs::write(&to, "longer than nothing").unwrap();
    expand(&taken.path, &to).unwrap();
    assert_eq!(fs::read(&to).unwrap(), content);
    assert_eq!(snapshots.list(), std::slice::from_ref(&taken));
    assert_eq!(fs::read_dir(folder.path().join("snapshots")).unwrap().count(), 1, "no half-written file stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(taken.path).unwrap().permissions().mode() & 0o077, 0);
        assert_eq!(fs::metadata(folder.path().join("snapshots")).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn every_kind_of_damage_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 3);
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let taken = take(&snapshots, 0, &content).unwrap();
    let (good, to) = (fs::read(&taken.path).unwrap(), folder.path().join("out"));
    fs::write(&to, "").unwrap();
    let damaged = |bytes: &[u8]| {
        fs::write(&taken.path, bytes).unwrap();
        expand(&taken.path, &to).unwrap_err().code()
    };
    assert_eq!(damaged(&good[..good.len() / 2]), "store-corrupt");
    assert_eq!(damaged(&good[..good.len() - 1]), "store-corrupt");
    assert_eq!(damaged(b"something else"), "store-corrupt");
    for place in (10..good.len()).step_by(good.len() / 40) {
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        assert_eq!(damaged(&flipped), "store-corrupt", "byte {place}");
    }
}

#[test]
fn a_clock_that_goes_back_does_not_make_an_old_snapshot_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 9);
    take(&snapshots, 100, b"first").unwrap();
    let second = take(&snapshots, 0, b"second").unwrap();
    assert_eq!(snapshots.list().first(), Some(&second));
}

#[test]
fn the_newest_are_kept_and_quick_restarts_do_not_push_the_past_out() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 4);
    for hour in 0..6 {
        take(&snapshots, hour * 60, b"hourly").unwrap();
    }
    let hours = |snapshots: &Snapshots| -> Vec<u64> {
        snapshots.list().iter().map(|found| (found.at.0 - at(0).0) / 60_000).collect()
    };
    assert_eq!(hours(&snapshots), [300, 240, 180, 120]);
    for minute in 301..320 {
        take(&snapshots, minute, b"restart").unwrap();
    }
    assert_eq!(hours(&snapshots), [319, 300, 240, 180]);
}

#[test]
fn what_a_killed_process_left_goes_and_foreign_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 2);
    let taken = take(&snapshots, 0, b"good").unwrap();
    let own = folder.path().join("snapshots");
    for left in ["hezar-20261129T130000Z.db.partial", "hezar-20261129T130000Z.db.zst.partial"] {
        fs::write(own.join(left), "half").unwrap();
    }
    fs::write(own.join("notes.partial"), "mine").unwrap();
    snapshots.remove_partial();
    let mut left: Vec<_> = fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path()).collect();
    left.sort_unstable();
    assert_eq!(left, [taken.path, own.join("notes.partial")]);
}

#[test]
fn few_damaged_ones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 9);
    for minutes in 0..5 {
        let taken = take(&snapshots, minutes, b"x").unwrap();
        snapshots.set_aside(&taken);
    }
    assert_eq!(snapshots.list(), []);
    let damaged = fs::read_dir(folder.path().join("snapshots")).unwrap().count();
    assert_eq!(damaged, MOST_DAMAGED);
}

#[test]
fn a_copy_that_cannot_be_compressed_leaves_nothing_and_the_older_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = snapshots(folder.path(), 2);
    let first = take(&snapshots, 0, b"first").unwrap();
    let to = snapshots.next(at(60)).unwrap();
    let absent = to.with_extension("");
    assert!(snapshots.keep(&absent, &to, Pace::Unlimited).is_err());
    assert_eq!(snapshots.list(), [first]);
    assert_eq!(fs::read_dir(folder.path().join("snapshots")).unwrap().count(), 1);
}
