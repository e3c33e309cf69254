//! Files of a log: one or more a day (UTC), readable by their owner alone, compressed when they are finished, bounded in days and in bytes.

mod compression;
mod name;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hezar_store::create_private_folder;

use compression::Compressor;
use name::LogFileName;

const DAY: u64 = 86_400;
/// How often it is looked whether the file that is written still has a name.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many times all log files of this process were asked to be opened again.
static REOPENED: AtomicU64 = AtomicU64::new(0);

/// Lets every log file be opened again by its name before its next line: an outside program may have moved it.
pub(super) fn reopen_all() {
    REOPENED.fetch_add(1, Relaxed);
}

/// How the files of a log are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RotationPolicy {
    pub(super) folder: PathBuf,
    /// What the names begin with.
    pub(super) prefix: &'static str,
    /// For how many days with lines files are kept.
    pub(super) days: usize,
    /// The most bytes of all files, compressed or not.
    pub(super) most: u64,
    /// The most bytes of one file before it is compressed.
    pub(super) file_bytes: u64,
    /// Whether finished files are compressed.
    pub(super) compress: bool,
    /// False: there is one file, `<prefix>.log`, which an outside program rotates.
    pub(super) rotate: bool,
}

/// Where the lines of a log go.
#[derive(Debug)]
pub(super) struct LogFiles {
    policy: RotationPolicy,
    open: CurrentFile,
    compressor: Option<Compressor>,
    reopened: u64,
    looked: Instant,
}

/// The file of the moment.
#[derive(Debug)]
struct CurrentFile {
    file: File,
    day: u64,
    part: u32,
    size: u64,
}

impl LogFiles {
    /// Opens the file of today in the folder, which is made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made, or no file can be written there.
    pub(super) fn open(policy: RotationPolicy) -> io::Result<Self> {
        create_private_folder(&policy.folder)?;
        let policy = RotationPolicy { days: policy.days.max(1), file_bytes: policy.file_bytes.max(1), ..policy };
        let day = today();
        let open = CurrentFile::open(&policy, day, policy.last_part(day))?;
        compression::remove_partial(&policy);
        let compressor = (policy.rotate && policy.compress).then(|| Compressor::start(policy.clone())).transpose()?;
        let files = Self { policy, open, compressor, reopened: REOPENED.load(Relaxed), looked: Instant::now() };
        files.tidy();
        Ok(files)
    }

    /// Takes another file when the day or the file is over, or when the file has lost its name.
    fn roll(&mut self, day: u64, more: u64) -> io::Result<()> {
        if self.is_to_be_reopened() {
            let CurrentFile { day, part, .. } = self.open;
            self.open = CurrentFile::open(&self.policy, day, part)?;
        }
        let full = self.open.size > 0 && self.open.size + more > self.policy.file_bytes;
        if !self.policy.rotate || (day == self.open.day && !full) {
            return Ok(());
        }
        let part = if day == self.open.day { self.open.part + 1 } else { self.policy.last_part(day) };
        self.open = CurrentFile::open(&self.policy, day, part)?;
        self.tidy();
        Ok(())
    }

    /// Whether somebody asked for it, or has removed the file.
    fn is_to_be_reopened(&mut self) -> bool {
        let reopened = REOPENED.load(Relaxed);
        if std::mem::replace(&mut self.reopened, reopened) != reopened {
            return true;
        }
        if self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Instant::now();
        is_nameless(&self.open.file)
    }

    fn tidy(&self) {
        if !self.policy.rotate {
            return;
        }
        let current = LogFileName::new(self.open.day, self.open.part);
        self.policy.prune(current);
        if let Some(compressor) = &self.compressor {
            compressor.finished_before(current);
        }
    }

    /// The file that is written now.
    #[cfg(test)]
    fn path(&self) -> PathBuf {
        self.policy.written(self.open.day, self.open.part)
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

impl RotationPolicy {
    /// Removes the oldest files until the others are within the bounds. A file that cannot be removed is tried again later.
    fn prune(&self, current: LogFileName) {
        let mut names = self.names();
        // What is being written stays, also when a clock that was wrong has left files of days to come.
        names.sort_unstable_by_key(|(name, _)| (*name == current, *name));
        // What is being written may grow to a whole file, and what is being compressed to one more.
        let mut bytes = self.file_bytes.saturating_mul(1 + u64::from(self.compress));
        let (mut days, mut last) = (0, None);
        for (name, is_compressed) in names.into_iter().rev() {
            days += usize::from(last.replace(name.date()) != Some(name.date()));
            let file = self.path(name, is_compressed);
            let is_written = name == current && !is_compressed;
            bytes += if is_written { 0 } else { file.symlink_metadata().map_or(0, |about| about.len()) };
            if !is_written && (days > self.days || bytes > self.most) {
                let _ = fs::remove_file(file);
            }
        }
    }

    fn path(&self, name: LogFileName, is_compressed: bool) -> PathBuf {
        let end = if is_compressed { ".gz" } else { "" };
        self.folder.join(format!("{}{end}", name.text(self.prefix)))
    }

    /// The file that is written on a day, when it has got to a part.
    fn written(&self, day: u64, part: u32) -> PathBuf {
        if self.rotate {
            self.path(LogFileName::new(day, part), false)
        } else {
            self.folder.join(format!("{}.log", self.prefix))
        }
    }

    /// Our files in the folder, and whether each is compressed.
    fn names(&self) -> Vec<(LogFileName, bool)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| LogFileName::read(entry.file_name().to_str()?, self.prefix)).collect()
    }

    /// The part that a day has got to. One that is compressed already is followed by the next.
    fn last_part(&self, day: u64) -> u32 {
        let date = LogFileName::new(day, 0).date();
        let names = self.names().into_iter().filter(|(name, _)| name.date() == date);
        names.map(|(name, is_compressed)| name.part() + u32::from(is_compressed)).max().unwrap_or(0)
    }
}

impl CurrentFile {
    fn open(policy: &RotationPolicy, day: u64, part: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        let file = open_private(&mut options, &policy.written(day, part))?;
        let size = file.metadata()?.len();
        Ok(Self { file, day, part, size })
    }
}

/// Opens a file that only its owner can read, and never through a link.
fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = options.mode(0o600).custom_flags(flags).open(path)?;
        // One that an older version has made is open to others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Whether a file has been removed while it was open.
fn is_nameless(file: &File) -> bool {
    #[cfg(unix)]
    {
        file.metadata().is_ok_and(|about| std::os::unix::fs::MetadataExt::nlink(&about) == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// The number of the day (UTC) since 1970-01-01.
fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY)
}

#[cfg(test)]
mod tests;
