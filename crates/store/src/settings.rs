//! The settings of the store.

use hezar_core::{
    Secret, settings,
    settings::{Given, SettingValue},
};

settings! {
    /// Where the nodes and what is known about them are kept.
    #[derive(Clone, Debug)]
    pub struct StoreSettings in "store" {
        /// A relative file stands in the data folder.
        pub url: StoreUrl = StoreUrl("sqlite:hezar.db".into());
    }
}

/// `sqlite:FILE`. It is a secret because URLs of other kinds of stores may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl(pub Secret);

impl SettingValue for StoreUrl {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        text.strip_prefix("sqlite:").filter(|file| !file.is_empty()).map(|_| Self(text.into()))
    }

    fn expected((): &()) -> String {
        "\"sqlite:FILE\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let text = self.0.expose();
        let kind = text.split(':').next().unwrap_or_default();
        Some(Given::Text(if kind == "sqlite" { text.to_owned() } else { format!("{kind}:…") }))
    }
}
