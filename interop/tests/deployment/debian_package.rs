//! The Debian package in a Debian system without systemd: installed, upgraded, removed, purged.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_interop::{debian_archive, harness::programs, unpack_debian};

use crate::packages::{Packages, has_root, succeed};

/// A Debian system in a folder.
pub(crate) struct System {
    folder: tempfile::TempDir,
}

impl System {
    pub(crate) fn new(packages: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        unpack_debian(&debian_archive(packages).unwrap(), folder.path()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.trim_start_matches('/'))
    }

    /// A command inside of it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(self.folder.path()).args(words).env_clear().env("DEBIAN_FRONTEND", "noninteractive");
        command.env("LC_ALL", "C").env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    pub(crate) fn succeed(&self, words: &[&str]) -> String {
        succeed(&mut self.command(words))
    }

    /// Writes a file into it, and makes the folders above.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Copies a package into it and installs that; changed configuration files stay as they are.
    pub(crate) fn install(&self, package: &Path) {
        fs::copy(package, self.path("package.deb")).unwrap();
        self.succeed(&["dpkg", "--force-confold", "--install", "/package.deb"]);
        fs::remove_file(self.path("package.deb")).unwrap();
    }

    /// Mode, owner and group of a file, as `stat` prints them.
    fn rights(&self, name: &str) -> String {
        self.succeed(&["stat", "--format=%a %U:%G", name]).trim().to_owned()
    }

    fn is_enabled(&self, unit: &str) -> bool {
        let wants = ["multi-user", "timers", "sockets"]
            .map(|target| format!("etc/systemd/system/{target}.target.wants/{unit}"));
        wants.iter().any(|link| fs::symlink_metadata(self.path(link)).is_ok())
    }

    /// Every path outside of what logs and package databases change.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let inside = path.strip_prefix(self.folder.path()).unwrap().to_owned();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    folders.push(path);
                }
                found.insert(inside);
            }
        }
        found.retain(|path| {
            !["run", "var/log", "var/lib/dpkg", "var/cache"].iter().any(|folder| path.starts_with(folder))
        });
        found
    }
}

/// The same package under a later version, with another line in its configuration.
pub(crate) fn later_version(package: &Path, folder: &Path) -> PathBuf {
    let tree = folder.join("tree");
    succeed(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&tree));
    let control = fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let current = control.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(tree.join("DEBIAN/control"), control.replace(current, "Version: 99.0")).unwrap();
    let configuration = tree.join("etc/hezar/hezar.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text + "# a later version\n").unwrap();
    let later = folder.join("later.deb");
    let mut build = Command::new("dpkg-deb");
    succeed(build.args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(&later));
    fs::remove_dir_all(&tree).unwrap();
    later
}

#[test]
fn the_debian_package_comes_and_goes_cleanly() {
    let test = "the Debian package";
    let Some((hezar, [_])) = programs(test, ["debootstrap"]) else { return };
    if !has_root(test) {
        return;
    }
    let packages = Packages::of(&hezar);
    let system = System::new(&[]);
    // The first use of some tools leaves caches: they are no trace of the package.
    let before = system.files();

    system.install(&packages.debian);
    assert!(system.succeed(&["getent", "passwd", "hezar"]).contains(":/var/lib/hezar:"));
    assert_eq!(system.rights("/etc/hezar"), "750 root:hezar");
    assert_eq!(system.rights("/etc/hezar/hezar.toml"), "640 root:hezar");
    assert!(system.is_enabled("hezar.service") && system.is_enabled("hezar-backup.timer"));
    assert!(!system.is_enabled("hezar.socket"));
    let version = system.succeed(&["hezar", "--version"]);
    assert_eq!(version.trim(), concat!("hezar ", env!("CARGO_PKG_VERSION")));
    let checked = system.succeed(&[
        "setpriv",
        "--reuid=hezar",
        "--regid=hezar",
        "--clear-groups",
        "hezar",
        "--config",
        "/etc/hezar/hezar.toml",
        "config",
        "check",
    ]);
    assert!(!checked.contains("chmod"), "{checked}");
    for page in ["hezar.1.gz", "hezar-install-service.1.gz"] {
        assert!(system.path("usr/share/man/man1").join(page).is_file(), "{page} is missing");
    }

    // What the administrator has changed survives an upgrade.
    let configuration = system.path("etc/hezar/hezar.toml");
    let changed = fs::read_to_string(&configuration).unwrap() + "# mine\n";
    fs::write(&configuration, &changed).unwrap();
    fs::remove_file(system.path("etc/systemd/system/timers.target.wants/hezar-backup.timer")).unwrap();
    fs::create_dir_all(system.path("var/lib/hezar")).unwrap();
    fs::write(system.path("var/lib/hezar/hezar.db"), "data").unwrap();
    let work = tempfile::tempdir().unwrap();
    let later = later_version(&packages.debian, work.path());
    system.install(&later);
    assert!(system.succeed(&["dpkg-query", "--show", "hezar"]).contains("99.0"));
    assert_eq!(fs::read_to_string(&configuration).unwrap(), changed);
    assert_eq!(system.rights("/etc/hezar/hezar.toml"), "640 root:hezar");
    assert!(system.is_enabled("hezar.service") && !system.is_enabled("hezar-backup.timer"));

    system.succeed(&["dpkg", "--remove", "hezar"]);
    assert!(!system.path("usr/bin/hezar").exists() && !system.path("usr/lib/systemd/system/hezar.service").exists());
    assert!(configuration.is_file() && system.path("var/lib/hezar/hezar.db").is_file());
    // Installed again, it is as it was.
    system.install(&packages.debian);
    assert!(system.is_enabled("hezar.service"));
    let masked = |unit: &str| fs::symlink_metadata(system.path("etc/systemd/system").join(unit)).is_ok();
    assert!(!["hezar.service", "hezar.socket", "hezar-backup.timer"].into_iter().any(masked));
    assert_eq!(fs::read_to_string(&configuration).unwrap(), changed);

    system.succeed(&["dpkg", "--purge", "hezar"]);
    assert!(!system.command(&["getent", "passwd", "hezar"]).status().unwrap().success(), "the user stays");
    let left: Vec<_> = system.files().difference(&before).cloned().collect();
    let backups = |path: &PathBuf| path.starts_with("etc") && path.to_string_lossy().ends_with('-');
    let left: Vec<_> = left.into_iter().filter(|path| !backups(path)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
