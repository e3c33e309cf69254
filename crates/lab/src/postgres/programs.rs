//! Where PostgreSQL's programs are, and as which user they run.

use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Where Debian puts the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Ends a program when the standard input ends, however this process ends, or when all of them are told to end; a line before that keeps
/// the folder.
const GUARD: &str = r#"trap : TERM INT HUP; folder=$1; signal=$2; shift 2; "$@" & pid=$!; read -r keep; kill -$signal $pid 2>/dev/null; wait $pid; [ -n "$keep" ] || rm -rf "$folder""#;

/// The folder of `initdb` and `postgres`: that of the newest version; `None` when they are not installed.
pub(super) fn folder() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| number(path));
    let folders = versions.into_iter().rev().map(|version| version.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    folders.chain(env::split_paths(&path)).find(|folder| folder.join("initdb").is_file())
}

/// A user that a server may run as: PostgreSQL refuses root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Account {
    /// `postgres`, or else `nobody`; `None` when this process is not root and keeps its own user.
    pub(super) fn for_root(own_folder: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        if fs::metadata(own_folder).ok()?.uid() != 0 {
            return None;
        }
        // passwd(5): name, password, user, group.
        let users = fs::read_to_string("/etc/passwd").ok()?;
        ["postgres", "nobody"].into_iter().find_map(|name| {
            let mut fields =
                users.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(name))?;
            Some(Self { user: fields.nth(2)?.parse().ok()?, group: fields.next()?.parse().ok()? })
        })
    }
}

/// A program, run as this account.
pub(super) fn command(program: &Path, account: Option<Account>) -> Command {
    let Some(Account { user, group }) = account else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    command.arg(program);
    command
}

/// A new folder of the account that a server runs as.
pub(super) fn own_folder() -> io::Result<(PathBuf, Option<Account>)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("hezar-postgres-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let folder = env::temp_dir().join(name);
    fs::create_dir(&folder)?;
    let account = Account::for_root(&folder);
    if let Some(Account { user, group }) = account {
        std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
    }
    Ok((folder, account))
}

/// Starts a program that ends with this process, by a signal that it does not ignore; its folder goes then.
pub(super) fn guarded(program: &Command, folder: &Path, signal: &str, log: File) -> io::Result<Child> {
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "sh"]).arg(folder).arg(signal).arg(program.get_program()).args(program.get_args());
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).current_dir("/").spawn()
}
