//! What clients call an invitation: whose it is, where it leads, and what is left of the user's quota and time.

use hezar_core::{Label, Timestamp, UtcDay};

use crate::output;

/// What stands between the parts of a name.
const SEPARATOR: &str = " · ";

/// What the names of a user's invitations say beside the listener and the link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remark {
    /// Who gives the invitations; in front of each name.
    pub(crate) title: String,
    /// The bytes that the user may still move; absent = any number.
    pub(crate) left: Option<u64>,
    /// When the user expires; absent = never.
    pub(crate) expires: Option<Timestamp>,
}

impl Remark {
    /// The name of an invitation, in Persian where the title is.
    pub(crate) fn label(&self, listener: &str, link: &str) -> Label {
        let is_persian = self.title.chars().any(is_arabic_script);
        let left = self
            .left
            .map(output::bytes)
            .map(|left| if is_persian { format!("{left} مانده") } else { format!("{left} left") });
        let until = self
            .expires
            .map(UtcDay::containing)
            .map(|date| if is_persian { format!("تا {date}") } else { format!("until {date}") });
        let named =
            [self.title.as_str(), listener, link].into_iter().filter(|part| !part.is_empty()).map(str::to_owned);
        let parts: Vec<String> = named.chain(left).chain(until).collect();
        Label::new(&parts.join(SEPARATOR))
    }
}

/// Whether a letter is of the script that Persian is written in (Unicode's block Arabic).
const fn is_arabic_script(letter: char) -> bool {
    matches!(letter, '\u{600}'..='\u{6ff}')
}
