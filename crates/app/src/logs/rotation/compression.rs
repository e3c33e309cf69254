//! Compresses finished log files (gzip, RFC 1952) on a thread of its own, so that no line waits for it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};

use super::{LogFileName, RotationPolicy, open_private};

/// A file is finished when it has not been written for this long: the process before this one may still write to it while it drains.
const SETTLED: Duration = Duration::from_secs(10);
/// The end of the name of a file that is not complete.
const PARTIAL: &str = ".partial";
/// How often it is looked for files that were not settled before.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A thread that compresses; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Compressor(SyncSender<LogFileName>);

impl Compressor {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(policy: RotationPolicy) -> io::Result<Self> {
        let (sender, asked) = sync_channel(1);
        thread::Builder::new().name("log compression".to_owned()).spawn(move || {
            let mut current = None;
            loop {
                match asked.recv_timeout(LOOK_EVERY) {
                    Ok(name) => current = Some(name),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                if let Some(current) = current {
                    compress_finished(&policy, current, SETTLED);
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Everything older than this file is finished.
    pub(super) fn finished_before(&self, current: LogFileName) {
        // When one has been told and not been looked at, the next look at the folder finds all of them.
        let _ = self.0.try_send(current);
    }
}

/// Compresses the files other than the current one that have not been written for `settled`, the oldest first. What cannot be compressed stays
/// as it is.
pub(super) fn compress_finished(policy: &RotationPolicy, current: LogFileName, settled: Duration) {
    let mut names: Vec<_> = policy.names().into_iter().filter(|(name, done)| !done && *name < current).collect();
    names.sort_unstable();
    for (name, _) in names {
        let (from, to) = (policy.path(name, false), policy.path(name, true));
        if is_settled(&from, settled) && compress(&from, &to).is_ok() {
            let _ = fs::remove_file(&from);
        }
    }
}

/// Removes what a process that was killed has left half compressed.
pub(super) fn remove_partial(policy: &RotationPolicy) {
    let entries = fs::read_dir(&policy.folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let packed = name.to_str().and_then(|name| name.strip_suffix(PARTIAL));
        if packed.is_some_and(|packed| LogFileName::read(packed, policy.prefix).is_some()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_settled(path: &Path, settled: Duration) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|about| about.modified());
    // A time in the future says nothing; the file is compressed when the clock has passed it.
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= settled))
}

/// Fails when the file was written meanwhile.
fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let partial = with_end(to, PARTIAL);
    let done = compress_into(from, &partial).and_then(|()| fs::rename(&partial, to));
    if done.is_err() {
        let _ = fs::remove_file(&partial);
    }
    done
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn compress_into(from: &Path, partial: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let target = open_private(OpenOptions::new().write(true).create(true).truncate(true), partial)?;
    let mut encoder = GzEncoder::new(target, Compression::fast());
    let copied = io::copy(&mut source, &mut encoder)?;
    encoder.finish()?;
    if fs::metadata(from)?.len() == copied { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
}
