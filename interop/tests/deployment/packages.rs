//! The packages of this program, made once for all tests by `cargo xtask dist`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// The packages of the program under test.
#[derive(Debug)]
pub(crate) struct Packages {
    pub(crate) folder: PathBuf,
    pub(crate) debian: PathBuf,
    pub(crate) wheel: PathBuf,
    pub(crate) tarball: PathBuf,
    pub(crate) bill_of_materials: PathBuf,
}

impl Packages {
    /// Makes them at the first call.
    pub(crate) fn of(hezar: &Path) -> &'static Self {
        static PACKAGES: OnceLock<Packages> = OnceLock::new();
        PACKAGES.get_or_init(|| Self::make(hezar))
    }

    fn make(hezar: &Path) -> Self {
        let folder = own_folder();
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let mut xtask = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        xtask.current_dir(Path::new(&manifest).parent().unwrap()).args(["xtask", "dist", "--program"]);
        succeed(xtask.arg(hezar.canonicalize().unwrap()).arg("--out").arg(&folder));
        let find = |end: &str| {
            let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let mut found = files.filter(|file| file.to_string_lossy().ends_with(end));
            found.next().unwrap_or_else(|| panic!("there is no {end} in {}", folder.display()))
        };
        let [debian, wheel, tarball, bill_of_materials] = [".deb", ".whl", ".tar.gz", ".cdx.json"].map(find);
        Self { folder: folder.clone(), debian, wheel, tarball, bill_of_materials }
    }
}

/// A folder of this run, which other runs at the same time leave alone; those of runs that have ended are removed.
fn own_folder() -> PathBuf {
    const NAME: &str = "packages-";
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(NAME).is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    parent.join(format!("{NAME}{}", std::process::id()))
}

/// Runs a command that has to succeed, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Both outputs of a command.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether the test has the rights of root; without them it is skipped with a line that says so.
pub(crate) fn has_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    assert!(is_root || env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "{test} needs root");
    if !is_root {
        println!("{test}: SKIPPED, it needs root");
    }
    is_root
}
