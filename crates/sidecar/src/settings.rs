//! The settings of `[sidecar]`.

use std::path::{Path, PathBuf};

use hezar_child::{find_program, is_program};
use hezar_core::{
    settings,
    settings::{ByteCount, Given, SettingValue},
};

settings! {
    /// Installed cores of others that dial the nodes which this program cannot dial itself. Whoever may write the paths may run programs, so
    /// they stand in the file, the environment or the flags alone.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SidecarSettings in "sidecar" {
        /// "auto": mihomo where it is installed; a path; or "off".
        /// It dials ShadowsocksR, Hysteria 1, TUIC 4, Snell and more.
        pub mihomo: CoreChoice = CoreChoice::Auto;
        /// "auto": Xray where it is installed; a path; or "off".
        /// It dials mKCP.
        pub xray: CoreChoice = CoreChoice::Auto;
        /// So many nodes can be dialled through one core at a time.
        /// When there are more, they take turns.
        pub max_nodes: usize [1..=20_000] = 5000;
        /// Of one core; one that uses more is started again.
        pub memory: ByteCount [64 << 20..=1 << 40] = ByteCount(1 << 30), example "\"1GiB\"";
    }
}

/// Which core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoreName {
    /// mihomo, once called Clash.Meta.
    Mihomo,
    /// Xray.
    Xray,
}

impl CoreName {
    /// The name of the core, and of its program.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mihomo => "mihomo",
            Self::Xray => "xray",
        }
    }

    /// Which program the settings choose.
    #[must_use]
    pub const fn choice(self, settings: &SidecarSettings) -> &CoreChoice {
        match self {
            Self::Mihomo => &settings.mihomo,
            Self::Xray => &settings.xray,
        }
    }

    /// The names under which packages install its program, the usual one first.
    const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Mihomo => &["mihomo", "clash-meta", "verge-mihomo"],
            Self::Xray => &["xray"],
        }
    }

    /// Where installers put its program outside PATH.
    const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Mihomo => &["/usr/local/mihomo/mihomo", "/opt/mihomo/mihomo", "/etc/mihomo/mihomo"],
            Self::Xray => &["/usr/local/xray/xray", "/opt/xray/xray", "/usr/local/share/xray/xray"],
        }
    }
}

/// Which program is used as a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreChoice {
    /// The installed one, if there is one.
    Auto,
    /// None.
    Off,
    /// This file.
    Path(PathBuf),
}

impl CoreChoice {
    /// The program, if there is one to be used now.
    #[must_use]
    pub fn find(&self, core: CoreName) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::Path(path) => Some(path.clone()).filter(|path| is_program(path)),
            Self::Auto => {
                let in_places =
                    || core.places().iter().map(Path::new).find(|path| is_program(path)).map(Path::to_owned);
                core.programs().iter().find_map(|name| find_program(name)).or_else(in_places)
            }
        }
    }
}

impl SettingValue for CoreChoice {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        match given.text()? {
            "auto" => Some(Self::Auto),
            "off" => Some(Self::Off),
            path if Path::new(path).is_absolute() => Some(Self::Path(path.into())),
            _ => None,
        }
    }

    fn expected((): &()) -> String {
        "\"auto\", \"off\" or the whole path of the program".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let text = match self {
            Self::Auto => "auto".to_owned(),
            Self::Off => "off".to_owned(),
            Self::Path(path) => path.to_str()?.to_owned(),
        };
        Some(Given::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_word_or_a_whole_path() {
        let read = |text: &str| CoreChoice::parse(&Given::Text(text.to_owned()), &());
        assert_eq!(read("auto"), Some(CoreChoice::Auto));
        assert_eq!(read("/opt/mihomo"), Some(CoreChoice::Path("/opt/mihomo".into())));
        assert_eq!((read("mihomo"), read("")), (None, None));
        assert_eq!(CoreChoice::Off.find(CoreName::Mihomo), None);
        assert_eq!(CoreChoice::Path("/nonexistent".into()).find(CoreName::Xray), None);
    }
}
