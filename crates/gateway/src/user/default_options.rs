//! The options that count for a user whose client gives none.

use hezar_core::settings::{Given, Mistake, SettingValue};

use crate::{OptionError, UserOptions};

/// Options as they would stand behind the user's name, such as `country-de-strategy-random`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultOptions {
    text: Box<str>,
    options: UserOptions,
}

impl DefaultOptions {
    /// Reads the text; the empty one has no options.
    ///
    /// # Errors
    /// [`OptionError`]: the first pair that cannot be read.
    pub fn parse_text(text: &str) -> Result<Self, OptionError> {
        Ok(Self { text: text.into(), options: UserOptions::parse(text)? })
    }

    /// The text as it was given.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.text
    }

    /// What the text says.
    #[must_use]
    pub const fn options(&self) -> &UserOptions {
        &self.options
    }
}

impl SettingValue for DefaultOptions {
    type Range = ();

    fn read(given: &Given, range: &()) -> Result<Self, Vec<Mistake>> {
        let text = given.text().ok_or_else(|| vec![Mistake::Expected(Self::expected(range))])?;
        Self::parse_text(text).map_err(|error| vec![Mistake::Message(error.to_string())])
    }

    fn parse(given: &Given, range: &()) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected((): &()) -> String {
        "options as in a user name, such as \"country-de-strategy-random\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        (!self.text.is_empty()).then(|| Given::Text(self.text.to_string()))
    }
}
