//! A value as a file, an environment variable or a flag gives it, and what is wrong with one.

/// A value before it is known what it should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A text from the environment or from a flag, which may stand for a value of any type.
    Variable(String),
    /// A list.
    List(Vec<Self>),
    /// A table, in the order in which it was given.
    Table(Vec<(String, Self)>),
    /// Something that no setting is made of, by the name of its type.
    Other(&'static str),
}

impl Given {
    /// The text, wherever it came from.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// What is shown in the place of a secret.
    #[must_use]
    pub fn hidden() -> Self {
        Self::Text(HIDDEN.to_owned())
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Another value is expected, such as "a whole number from 1 to 32".
    Expected(String),
    /// A whole sentence about it.
    Message(String),
}

/// The longest part of a wrong text that is quoted, in characters.
const MOST_QUOTED: usize = 100;
/// Stands for what is not shown.
const HIDDEN: &str = "…";

/// A text that is wrong, as far as an error may quote it: of one that may be a URL only the scheme, and nothing of one that may hold a
/// password.
#[must_use]
pub fn quote(text: &str) -> String {
    if let Some((scheme, _)) = text.split_once("://") {
        let short: String = scheme.chars().filter(|c| !c.is_control()).take(20).collect();
        return format!("\"{short}://{HIDDEN}\"");
    }
    if text.contains('@') {
        return format!("a text of {} characters", text.chars().count());
    }
    let short: String = text.chars().take(MOST_QUOTED).collect();
    let more = if short.len() < text.len() { HIDDEN } else { "" };
    format!("{:?}", format!("{short}{more}"))
}
