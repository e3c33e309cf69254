//! Tag expressions: `paid & !slow | country:de`, over the tags of sources and what else is known about a node.
//!
//! ```text
//!   or  = and { "|" and }        word = tag of a source | "label:" text | "country:" xx | "scheme:" name | "source:" name
//!                                                        | "is:insecure" | "anonymity:" level
//!   and = not { "&" not }        not  = "!" not | "(" or ")" | word
//! ```

use std::{iter::Peekable, str::Chars};

use hezar_core::settings::country_code;
use hezar_pool::Anonymity;

/// What a node must be, before it is known which sources have which tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// One of its sources has this tag.
    Tag(String),
    /// Its label contains this text, in lower case.
    Label(String),
    /// Its exit is in this country.
    Country([u8; 2]),
    /// Its links have this scheme.
    Scheme(String),
    /// This source lists it.
    Source(String),
    /// It takes any certificate.
    Insecure,
    /// It gives away just this much to the targets of plain requests; `None` = that is not known.
    Anonymity(Option<Anonymity>),
    /// Not that.
    Not(Box<Self>),
    /// All of them.
    All(Vec<Self>),
    /// One of them.
    Any(Vec<Self>),
}

/// Brackets and exclamation marks inside each other.
const MOST_DEEP: usize = 32;
const MOST_LONG: usize = 1024;

/// Reads an expression; `None` when it is none.
pub(super) fn read(text: &str) -> Option<Expression> {
    if text.len() > MOST_LONG {
        return None;
    }
    let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
    let whole = reader.any()?;
    reader.next().is_none().then_some(whole)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    /// The next character that is no space; it stays.
    fn next(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.next() == Some(wanted) && self.rest.next().is_some()
    }

    fn any(&mut self) -> Option<Expression> {
        let mut terms = vec![self.all()?];
        while self.take('|') {
            terms.push(self.all()?);
        }
        Some(if terms.len() == 1 { terms.remove(0) } else { Expression::Any(terms) })
    }

    fn all(&mut self) -> Option<Expression> {
        let mut terms = vec![self.not()?];
        while self.take('&') {
            terms.push(self.not()?);
        }
        Some(if terms.len() == 1 { terms.remove(0) } else { Expression::All(terms) })
    }

    fn not(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > MOST_DEEP {
            return None;
        }
        let term = if self.take('!') {
            Expression::Not(Box::new(self.not()?))
        } else if self.take('(') {
            let inner = self.any()?;
            self.take(')').then_some(inner)?
        } else {
            self.word()?
        };
        self.depth -= 1;
        Some(term)
    }

    fn word(&mut self) -> Option<Expression> {
        self.next()?;
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| !c.is_whitespace() && !"&|!()".contains(*c)) {
            word.push(c);
        }
        let (kind, value) = word.split_once(':').unwrap_or(("tag", &word));
        if value.is_empty() {
            return None;
        }
        match kind {
            "tag" => Some(Expression::Tag(value.to_owned())),
            "label" => Some(Expression::Label(value.to_lowercase())),
            "country" => country_code(value).map(Expression::Country),
            "scheme" => Some(Expression::Scheme(value.to_ascii_lowercase())),
            "is" => (value == "insecure").then_some(Expression::Insecure),
            "anonymity" if value == "unknown" => Some(Expression::Anonymity(None)),
            "anonymity" => value.parse().ok().map(|level| Expression::Anonymity(Some(level))),
            "source" => Some(Expression::Source(value.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(name: &str) -> Expression {
        Expression::Tag(name.into())
    }

    #[test]
    fn and_binds_closer_than_or() {
        let not = |term| Expression::Not(Box::new(term));
        let expected =
            Expression::Any(vec![Expression::All(vec![tag("paid"), not(tag("slow"))]), Expression::Country(*b"DE")]);
        assert_eq!(read("paid & !slow | country:de"), Some(expected.clone()));
        assert_eq!(read(" ( paid&! slow )|(country:DE) "), Some(expected));
        let inner = Expression::Any(vec![tag("a"), Expression::Label("prémium".into())]);
        assert_eq!(read("!(a | label:Prémium)"), Some(not(inner)));
        assert_eq!(
            read("scheme:SS & source:my-list"),
            Some(Expression::All(vec![Expression::Scheme("ss".into()), Expression::Source("my-list".into()),]))
        );
        assert_eq!(read("!is:insecure"), Some(not(Expression::Insecure)));
        assert_eq!(read("!anonymity:transparent"), Some(not(Expression::Anonymity(Some(Anonymity::Transparent)))));
        assert_eq!(read("anonymity:unknown"), Some(Expression::Anonymity(None)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "a &",
            "| a",
            "(a",
            "a)",
            "a b",
            "country:deu",
            "colour:red",
            "is:red",
            "anonymity:high",
            "label:",
            "!",
            "()",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&"(".repeat(1000)), None);
        assert_eq!(read(&"!".repeat(1000)), None);
        assert!(read(&format!("a{}", "&a".repeat(500))).is_some());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a&|!() :é]{0,60}") {
            let _ = read(&text);
        }
    }
}
