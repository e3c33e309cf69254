//! The settings of the Clash API.

use std::path::PathBuf;

use hezar_core::settings;

settings! {
    /// The Clash API, for dashboards.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ClashSettings in "clash" {
        /// False: the paths of the Clash API do not exist.
        pub enabled: bool = true;
        /// A folder with the files of a dashboard.
        /// Everybody who reaches the API may read them, at `/ui/`.
        pub ui: Option<PathBuf> = None, example "\"zashboard\"";
        /// Nodes that dashboards are shown, the best ones.
        pub nodes: usize [1..=100_000] = 2000;
        /// True: a request fails when what is selected cannot serve it.
        /// False: it leaves through another node.
        pub strict: bool = false;
    }
}
