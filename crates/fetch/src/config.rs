//! The settings of the fetcher.

use std::{path::PathBuf, time::Duration};

use hezar_core::{settings, settings::known_url};
use url::Url;

use crate::SourceSpec;

settings! {
    /// What all sources share.
    #[derive(Clone, Debug)]
    pub struct FetchConfig in "fetch" {
        /// The longest one request may take, its body included.
        pub request as "timeout": Duration [Duration::from_millis(100)..=Duration::from_secs(600)] = Duration::from_secs(60);
        /// GitHub's API.
        pub github_api: Url = known_url("https://api.github.com");
        /// Where GitHub serves the content of files.
        pub github_raw: Url = known_url("https://raw.githubusercontent.com");
        /// Where Telegram shows public channels.
        pub telegram: Url = known_url("https://t.me");
    } and {
        /// The longest one fetch may take, with all its pages and files.
        pub total: Duration = Duration::from_secs(300);
        /// The `User-Agent` of sources that have none of their own.
        pub user_agent: Box<str> = concat!("hezar/", env!("CARGO_PKG_VERSION")).into();
        /// Relative file patterns start here.
        pub directory: PathBuf = PathBuf::from(".");
    }
}

impl FetchConfig {
    /// The `User-Agent` for a source: its own, or the usual one.
    pub(crate) fn user_agent<'a>(&'a self, spec: &'a SourceSpec) -> &'a str {
        spec.user_agent.as_deref().unwrap_or(&self.user_agent)
    }
}
