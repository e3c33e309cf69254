//! Rotation, bounds, compression and reopening of log files.

use std::io::Read;

use super::{compression::compress_finished, *};

fn policy(folder: &Path, days: usize, most: u64) -> RotationPolicy {
    let folder = folder.to_owned();
    RotationPolicy { folder, prefix: "hezar", days, most, file_bytes: most / 8, compress: false, rotate: true }
}

fn open(folder: &Path, days: usize, most: u64) -> LogFiles {
    LogFiles::open(policy(folder, days, most)).unwrap()
}

fn sorted(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn total(folder: &Path) -> u64 {
    sorted(folder).iter().map(|name| folder.join(name).metadata().unwrap().len()).sum()
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn bytes_are_bounded_and_the_newest_stay() {
    let folder = tempfile::tempdir().unwrap();
    let most = 64 * 1024;
    let mut files = open(folder.path(), 14, most);
    for number in 0..20_000 {
        writeln!(files, "line {number}").unwrap();
    }
    assert!(total(folder.path()) <= most, "{}", total(folder.path()));
    assert!(total(folder.path()) > most / 2);
    let newest = fs::read_to_string(files.path()).unwrap();
    assert!(newest.ends_with("line 19999\n"));
    // A restart goes on with the file of the moment.
    let parts = sorted(folder.path()).len();
    drop(files);
    writeln!(open(folder.path(), 14, most), "again").unwrap();
    assert!(sorted(folder.path()).len() <= parts + 1);
}

#[test]
fn days_are_bounded_and_foreign_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=9 {
        let end = if day % 2 == 0 { ".gz" } else { "" };
        fs::write(folder.path().join(format!("hezar.2020-01-0{day}.log{end}")), "old").unwrap();
    }
    for foreign in ["notes.log", "access.2020-01-01.log"] {
        fs::write(folder.path().join(foreign), "mine").unwrap();
    }
    let files = open(folder.path(), 3, 1 << 20);
    let path = files.path();
    let today = path.file_name().unwrap().to_str().unwrap();
    let expected = ["access.2020-01-01.log", "hezar.2020-01-08.log.gz", "hezar.2020-01-09.log", today, "notes.log"];
    assert_eq!(sorted(folder.path()), expected);
}

#[test]
fn files_of_days_to_come_do_not_push_out_what_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=5 {
        fs::write(folder.path().join(format!("hezar.9999-01-0{day}.log")), vec![b'x'; 1000]).unwrap();
    }
    for (days, most) in [(3, 1 << 20), (14, 4000)] {
        let mut files = open(folder.path(), days, most);
        writeln!(files, "a line").unwrap();
        assert!(fs::read_to_string(files.path()).unwrap().ends_with("a line\n"));
        assert!(total(folder.path()) <= most);
    }
}

#[test]
fn another_day_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = open(folder.path(), 14, 1 << 20);
    let day = files.open.day;
    files.roll(day + 1, 1).unwrap();
    assert_eq!(sorted(folder.path()).len(), 2);
}

#[test]
fn finished_files_are_compressed_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let most = 256 * 1024;
    let kept = RotationPolicy { compress: true, ..policy(folder.path(), 14, most) };
    let mut files = LogFiles::open(kept.clone()).unwrap();
    for number in 0..30_000 {
        writeln!(files, "{number} {:x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
        if number % 1000 == 0 {
            let current = LogFileName::new(files.open.day, files.open.part);
            compress_finished(&kept, current, Duration::ZERO);
            assert!(total(folder.path()) <= most, "{}", total(folder.path()));
        }
    }
    let current = LogFileName::new(files.open.day, files.open.part);
    compress_finished(&kept, current, Duration::ZERO);
    let names = sorted(folder.path());
    let (packed, plain): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with(".gz"));
    assert_eq!(plain.len(), 1, "{names:?}");
    assert!(packed.len() > 8, "more history fits into the bound: {names:?}");
    let lines: String = packed.iter().map(|name| unpacked(&folder.path().join(name))).collect();
    let numbers: Vec<u64> = lines.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no line is lost between the files");
    // After a restart the compressed file of today is not opened again.
    drop(files);
    let again = LogFiles::open(kept).unwrap();
    assert_eq!(again.open.part, current.part());
}

#[test]
fn a_file_that_is_still_written_is_not_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let kept = RotationPolicy { compress: true, ..policy(folder.path(), 14, 1 << 20) };
    let old = folder.path().join("hezar.2020-01-01.log");
    fs::write(&old, "from the process before").unwrap();
    let half = folder.path().join("hezar.2020-01-02.log.gz.partial");
    fs::write(&half, "half").unwrap();
    compression::remove_partial(&kept);
    assert!(!half.exists());
    compress_finished(&kept, LogFileName::new(today(), 0), Duration::from_secs(3600));
    assert!(old.exists());
    compress_finished(&kept, LogFileName::new(today(), 0), Duration::ZERO);
    assert_eq!(sorted(folder.path()), ["hezar.2020-01-01.log.gz"]);
}

#[test]
fn a_file_that_was_moved_or_removed_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    for rotate in [true, false] {
        let kept = RotationPolicy { rotate, ..policy(folder.path(), 14, 1 << 20) };
        let mut files = LogFiles::open(kept).unwrap();
        writeln!(files, "one").unwrap();
        let (path, moved) = (files.path(), folder.path().join("moved"));
        assert_eq!(path.ends_with("hezar.log"), !rotate);
        fs::rename(&path, &moved).unwrap();
        writeln!(files, "two").unwrap();
        reopen_all();
        writeln!(files, "three").unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_file(&path).unwrap();
        files.looked = Instant::now().checked_sub(2 * LOOK_EVERY).unwrap();
        writeln!(files, "four").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn without_rotation_one_file_grows_and_nothing_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hezar.2020-01-01.log"), "old").unwrap();
    let mut files = LogFiles::open(RotationPolicy { rotate: false, ..policy(folder.path(), 1, 1000) }).unwrap();
    for _ in 0..1000 {
        writeln!(files, "a line").unwrap();
    }
    assert_eq!(sorted(folder.path()), ["hezar.2020-01-01.log", "hezar.log"]);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let name = LogFileName::new(today(), 0).text("hezar");
    std::os::unix::fs::symlink(&victim, folder.path().join(name)).unwrap();
    assert!(LogFiles::open(policy(folder.path(), 14, 1 << 20)).is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/logs");
    fs::create_dir_all(&folder).unwrap();
    let name = LogFileName::new(today(), 0).text("hezar");
    fs::write(folder.join(&name), "from before\n").unwrap();
    fs::set_permissions(folder.join(&name), fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&folder, 14, 1 << 20));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join(&name)), 0o600);
    let fresh = parent.path().join("b/logs");
    drop(open(&fresh, 14, 1 << 20));
    assert_eq!((mode(&fresh), mode(&fresh.join(&name))), (0o700, 0o600));
    compress_finished(
        &RotationPolicy { compress: true, ..policy(&fresh, 14, 1 << 20) },
        LogFileName::new(today() + 1, 0),
        Duration::ZERO,
    );
    assert_eq!(mode(&fresh.join(format!("{name}.gz"))), 0o600);
}
