//! The files of the log: one or more a day, readable by their owner alone, bounded in days and in bytes.
//!
//! `hezar.2026-11-28.log` is a day's first file, `hezar.2026-11-28.001.log` the next one, when the first became too large.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use hezar_core::civil_date;

/// The files together are at most as large as so many of them.
const FILES: u64 = 8;
const DAY: u64 = 86_400;

/// Where log lines go.
#[derive(Debug)]
pub(crate) struct LogFiles {
    folder: PathBuf,
    /// For how many days files are kept.
    days: usize,
    /// The most bytes of all files.
    most: u64,
    open: CurrentFile,
}

/// The file of the moment.
#[derive(Debug)]
struct CurrentFile {
    file: File,
    day: u64,
    part: u32,
    size: u64,
}

/// A file's name, as the files are ordered: by day, then by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    year: i64,
    month: i64,
    day: i64,
    part: u32,
}

impl LogFiles {
    /// Opens the file of today in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made, or no file can be written there.
    pub(crate) fn open(folder: &Path, days: usize, most: u64) -> io::Result<Self> {
        make_folder(folder)?;
        let day = today();
        let part = last_part(folder, day);
        let open = CurrentFile::open(folder, day, part)?;
        let files = Self { folder: folder.to_owned(), days: days.max(1), most, open };
        files.prune();
        Ok(files)
    }

    /// Takes another file when the day or the file is over.
    fn roll(&mut self, day: u64, more: u64) -> io::Result<()> {
        let full = self.open.size > 0 && self.open.size + more > self.most / FILES;
        if day == self.open.day && !full {
            return Ok(());
        }
        let part = if day == self.open.day { self.open.part + 1 } else { last_part(&self.folder, day) };
        self.open = CurrentFile::open(&self.folder, day, part)?;
        self.prune();
        Ok(())
    }

    /// Removes the oldest files until the others are within the bounds. A file that cannot be removed is tried again later.
    fn prune(&self) {
        let current = Name::of(self.open.day, self.open.part);
        let mut names = names(&self.folder);
        // What is being written stays, also when a clock that was wrong has left files of days to come.
        names.sort_unstable_by_key(|name| (*name == current, *name));
        let mut days = 0;
        let mut bytes = 0;
        let mut last = None;
        for name in names.into_iter().rev() {
            let day = (name.year, name.month, name.day);
            days += usize::from(last.replace(day) != Some(day));
            let file = self.folder.join(name.text());
            let size = file.symlink_metadata().map_or(0, |about| about.len());
            // What is being written may grow to a whole file.
            bytes += if name == current { self.most / FILES } else { size };
            if days > self.days || bytes > self.most {
                let _ = fs::remove_file(file);
            }
        }
    }
}

impl Write for LogFiles {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.roll(today(), bytes.len() as u64)?;
        let written = self.open.file.write(bytes)?;
        self.open.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}

impl CurrentFile {
    fn open(folder: &Path, day: u64, part: u32) -> io::Result<Self> {
        let path = folder.join(Name::of(day, part).text());
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
            let file = options.mode(0o600).custom_flags(no_follow).open(&path)?;
            // One that an older version has made is open to others.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            let size = file.metadata()?.len();
            Ok(Self { file, day, part, size })
        }
        #[cfg(not(unix))]
        {
            let file = options.open(&path)?;
            let size = file.metadata()?.len();
            Ok(Self { file, day, part, size })
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

impl Name {
    fn of(day: u64, part: u32) -> Self {
        let (year, month, day) = civil_date(i64::try_from(day).unwrap_or(i64::MAX / DAY as i64));
        Self { year, month, day, part }
    }

    fn text(self) -> String {
        let Self { year, month, day, part } = self;
        match part {
            0 => format!("hezar.{year:04}-{month:02}-{day:02}.log"),
            part => format!("hezar.{year:04}-{month:02}-{day:02}.{part:03}.log"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix("hezar.")?.strip_suffix(".log")?;
        let (date, part) = name.split_once('.').map_or((name, Some(0)), |(date, part)| (date, part.parse().ok()));
        let mut numbers = date.splitn(3, '-').map(|number| number.parse::<i64>().ok());
        let name = Self { year: numbers.next()??, month: numbers.next()??, day: numbers.next()??, part: part? };
        // Nothing that only looks like one of ours is ever removed.
        (name.text() == text).then_some(name)
    }
}

/// Our files in a folder.
fn names(folder: &Path) -> Vec<Name> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Name::read(entry.file_name().to_str()?)).collect()
}

/// The part that a day has got to.
fn last_part(folder: &Path, day: u64) -> u32 {
    let first = Name::of(day, 0);
    let same = |name: &Name| (name.year, name.month, name.day) == (first.year, first.month, first.day);
    names(folder).into_iter().filter(same).map(|name| name.part).max().unwrap_or(0)
}

/// The number of the day (UTC) since 1970-01-01.
fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(folder: &Path) -> u64 {
        names(folder).iter().map(|name| folder.join(name.text()).metadata().unwrap().len()).sum()
    }

    #[test]
    fn names_read_back_and_days_are_right() {
        for (day, text) in [(0, "1970-01-01"), (19_782, "2024-02-29"), (20_785, "2026-11-28")] {
            assert_eq!(Name::of(day, 0).text(), format!("hezar.{text}.log"));
            for part in [0, 1, 42, 5000] {
                let name = Name::of(day, part);
                assert_eq!(Name::read(&name.text()), Some(name));
            }
        }
        for other in
            ["hezar.log", "hezar.2026-11-28.log.gz", "hezar.2026-1-8.log", "hezar.x.log", "other.2026-11-28.log"]
        {
            assert_eq!(Name::read(other), None, "{other}");
        }
    }

    #[test]
    fn bytes_are_bounded_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let most = 64 * 1024;
        let mut files = LogFiles::open(folder.path(), 14, most).unwrap();
        for number in 0..20_000 {
            writeln!(files, "line {number}").unwrap();
        }
        assert!(total(folder.path()) <= most, "{}", total(folder.path()));
        assert!(total(folder.path()) > most / 2);
        let mut names = names(folder.path());
        names.sort_unstable();
        let newest = fs::read_to_string(folder.path().join(names.last().unwrap().text())).unwrap();
        assert!(newest.ends_with("line 19999\n"));
        // A restart goes on with the file of the moment.
        drop(files);
        let parts = names.len();
        writeln!(LogFiles::open(folder.path(), 14, most).unwrap(), "again").unwrap();
        assert!(super::names(folder.path()).len() <= parts + 1);
    }

    #[test]
    fn days_are_bounded_and_foreign_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        for day in 1..=9 {
            fs::write(folder.path().join(format!("hezar.2020-01-0{day}.log")), "old").unwrap();
        }
        fs::write(folder.path().join("notes.log"), "mine").unwrap();
        let files = LogFiles::open(folder.path(), 3, 1 << 20).unwrap();
        let mut left = names(folder.path());
        left.sort_unstable();
        let left: Vec<_> = left.into_iter().map(Name::text).collect();
        let today = Name::of(files.open.day, 0).text();
        assert_eq!(left, ["hezar.2020-01-08.log".to_owned(), "hezar.2020-01-09.log".to_owned(), today]);
        assert!(folder.path().join("notes.log").exists());
    }

    #[test]
    fn files_of_days_to_come_do_not_push_out_what_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        for day in 1..=5 {
            fs::write(folder.path().join(format!("hezar.9999-01-0{day}.log")), vec![b'x'; 1000]).unwrap();
        }
        for (days, most) in [(3, 1 << 20), (14, 4000)] {
            let mut files = LogFiles::open(folder.path(), days, most).unwrap();
            writeln!(files, "a line").unwrap();
            let current = Name::of(files.open.day, files.open.part).text();
            assert!(fs::read_to_string(folder.path().join(current)).unwrap().ends_with("a line\n"));
            assert!(total(folder.path()) <= most);
        }
    }

    #[test]
    fn another_day_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(folder.path(), 14, 1 << 20).unwrap();
        let day = files.open.day;
        files.roll(day + 1, 1).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(Name::of(today(), 0).text())).unwrap();
        assert!(LogFiles::open(folder.path(), 14, 1 << 20).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/logs");
        fs::create_dir_all(&folder).unwrap();
        let name = Name::of(today(), 0).text();
        fs::write(folder.join(&name), "from before\n").unwrap();
        fs::set_permissions(folder.join(&name), fs::Permissions::from_mode(0o644)).unwrap();
        drop(LogFiles::open(&folder, 14, 1 << 20).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join(&name)), 0o600);
        let fresh = parent.path().join("b/logs");
        drop(LogFiles::open(&fresh, 14, 1 << 20).unwrap());
        assert_eq!((mode(&fresh), mode(&fresh.join(&name))), (0o700, 0o600));
    }
}
