//! Where the configuration and the data lie: where the user says, in the current folder, or in the user's own folders.
//!
//! | configuration | data, unless `--data`, `HEZAR_DATA` or the key `data` says otherwise |
//! |---|---|
//! | `--config FILE` or `HEZAR_CONFIG` | `hezar-data` beside the file |
//! | `hezar.toml` in the current folder | `hezar-data` beside the file |
//! | `hezar/hezar.toml` in the user's configuration folder | `hezar` in the user's data folder |
//! | `/etc/hezar/hezar.toml` of the system's service, for who may read it | `/var/lib/hezar` |
//! | none | `hezar-data` in the current folder if it exists, else `hezar` in the user's data folder |

use std::path::{Path, PathBuf};

/// The name of the configuration file.
pub(crate) const FILE_NAME: &str = "hezar.toml";
/// The name of the data folder that lies beside a configuration file.
pub(crate) const DATA_FOLDER: &str = "hezar-data";
/// The configuration of the system's service (deploy/systemd).
pub(crate) const SYSTEM_FILE: &str = "/etc/hezar/hezar.toml";
/// The data folder of the system's service.
pub(crate) const SYSTEM_DATA: &str = "/var/lib/hezar";

/// Folders of the user who runs the program (XDG Base Directory specification; on Windows `APPDATA` and `LOCALAPPDATA`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserFolders {
    config: Option<PathBuf>,
    data: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl UserFolders {
    pub(crate) fn from_environment() -> Self {
        Self::read(|name| std::env::var_os(name).map(PathBuf::from))
    }

    /// Relative paths are ignored, as the specification asks.
    fn read(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = |below: &str| absolute("HOME").map(|home| home.join(below));
        let local = || absolute("LOCALAPPDATA");
        let folder = |base: Option<PathBuf>| base.map(|base| base.join("hezar"));
        Self {
            config: folder(absolute("XDG_CONFIG_HOME").or_else(|| absolute("APPDATA")).or_else(|| home(".config"))),
            data: folder(absolute("XDG_DATA_HOME").or_else(local).or_else(|| home(".local/share"))),
            state: folder(absolute("XDG_STATE_HOME").or_else(local).or_else(|| home(".local/state"))),
        }
    }

    /// The user's configuration file, whether it exists or not.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|folder| folder.join(FILE_NAME))
    }

    /// The folder of the user's own units of systemd (systemd.unit(5)).
    pub(crate) fn units(&self) -> Option<PathBuf> {
        Some(self.config.as_ref()?.parent()?.join("systemd/user"))
    }

    /// Where a running instance says which data folder it uses.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }
}

/// The configuration file of one call of the program, and the data folder that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The configuration file; `None` when there is none.
    pub(crate) file: Option<PathBuf>,
    /// Whether the user named the file, instead of it being found.
    pub(crate) named: bool,
    /// The data folder, unless something else says where it is.
    pub(crate) default_data: PathBuf,
}

impl Places {
    /// Looks for the configuration; `exists` says whether a path exists.
    pub(crate) fn find(named: Option<&Path>, user: &UserFolders, exists: impl Fn(&Path) -> bool) -> Self {
        let own_file = user.config_file();
        let beside = |file: &Path| file.parent().unwrap_or(Path::new("")).join(DATA_FOLDER);
        let of_user = || user.data.clone().unwrap_or_else(|| PathBuf::from(DATA_FOLDER));
        if let Some(file) = named {
            let default_data = match file {
                _ if own_file.as_deref() == Some(file) => of_user(),
                _ if file == Path::new(SYSTEM_FILE) => SYSTEM_DATA.into(),
                _ => beside(file),
            };
            return Self { file: Some(file.to_owned()), named: true, default_data };
        }
        let here = Path::new(FILE_NAME);
        if exists(here) {
            return Self { file: Some(here.to_owned()), named: false, default_data: beside(here) };
        }
        if let Some(file) = own_file.filter(|file| exists(file)) {
            return Self { file: Some(file), named: false, default_data: of_user() };
        }
        let old = PathBuf::from(DATA_FOLDER);
        if exists(&old) {
            return Self { file: None, named: false, default_data: old };
        }
        // Its folder is closed to others than root and the service: for them it does not exist.
        if exists(Path::new(SYSTEM_FILE)) {
            return Self { file: Some(SYSTEM_FILE.into()), named: false, default_data: SYSTEM_DATA.into() };
        }
        Self { file: None, named: false, default_data: of_user() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> UserFolders {
        UserFolders::read(|name| (name == "HOME").then(|| "/home/a".into()))
    }

    fn places(named: Option<&str>, there: &[&str]) -> (Option<String>, String) {
        let found =
            Places::find(named.map(Path::new), &user(), |path| there.iter().any(|known| Path::new(known) == path));
        (found.file.map(|file| file.display().to_string()), found.default_data.display().to_string())
    }

    #[test]
    fn data_lies_beside_the_configuration_or_with_the_user() {
        let own = "/home/a/.config/hezar/hezar.toml";
        let (data, old) = ("/home/a/.local/share/hezar", "hezar-data");
        for (named, there, file, expected) in [
            (Some("/etc/x.toml"), &[old][..], Some("/etc/x.toml"), "/etc/hezar-data"),
            (Some("x.toml"), &[], Some("x.toml"), old),
            (Some(own), &[own], Some(own), data),
            (None, &["hezar.toml", own], Some("hezar.toml"), old),
            (None, &[own, old], Some(own), data),
            (None, &[old], None, old),
            (None, &[old, SYSTEM_FILE], None, old),
            (None, &[own, SYSTEM_FILE], Some(own), data),
            (None, &[SYSTEM_FILE], Some(SYSTEM_FILE), SYSTEM_DATA),
            (Some(SYSTEM_FILE), &[], Some(SYSTEM_FILE), SYSTEM_DATA),
            (None, &[], None, data),
        ] {
            assert_eq!(places(named, there), (file.map(str::to_owned), expected.to_owned()), "{named:?} {there:?}");
        }
    }

    #[test]
    fn relative_and_absent_variables_are_passed_over() {
        let folders = UserFolders::read(|name| match name {
            "HOME" => Some("/home/a".into()),
            "XDG_DATA_HOME" => Some("relative".into()),
            "XDG_CONFIG_HOME" => Some("/conf".into()),
            _ => None,
        });
        assert_eq!(folders.config_file(), Some("/conf/hezar/hezar.toml".into()));
        assert_eq!(folders.data, Some("/home/a/.local/share/hezar".into()));
        assert_eq!(UserFolders::read(|_| None), UserFolders::default());
        assert_eq!(Places::find(None, &UserFolders::default(), |_| false).default_data, PathBuf::from(DATA_FOLDER));
    }
}
