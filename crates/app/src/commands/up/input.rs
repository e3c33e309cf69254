//! What a person gives `hezar up` to try: addresses of subscriptions, channels, files, share links, or any text with those in it.

use std::{fs, io::Read, path::Path};

use anyhow::{Context, bail};
use hezar_formats::{Parsed, parse, to_link};
use serde_json::Value;
use url::Url;

use super::super::objects::place_of;
use crate::{cli::UpArgs, output::Misuse};

/// The most that is read of standard input, in bytes.
const MOST_BYTES: u64 = 8 << 20;
/// The most links that are written into a configuration; longer lists belong into a file.
const MOST_LINKS: usize = 2000;
/// The most addresses that are tried of one text.
const MOST_ADDRESSES: usize = 20;

/// What is to be tried.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Share links, as this program writes them.
    pub(super) links: Vec<String>,
    /// Where lists are published.
    pub(super) places: Vec<Place>,
    /// Lines in which nothing was found.
    pub(super) refused: usize,
}

/// Where a list is published: a key of `[[source]]` with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: &'static str,
    pub(super) value: String,
    /// Whether the user named just this place; one that stood in a longer text may be anything.
    pub(super) is_named: bool,
}

impl Given {
    /// Reads what the command line names, standard input too where it says so.
    ///
    /// # Errors
    /// Something in which nothing can be found, or that cannot be read.
    pub(super) fn from_arguments(args: &UpArgs) -> anyhow::Result<Self> {
        let mut given = Self::default();
        for input in args.inputs.iter().chain(&args.subscription).chain(&args.link) {
            if input == "-" {
                given.take_pasted(&read_bounded(std::io::stdin())?)?;
            } else {
                given.take_argument(input)?;
            }
        }
        Ok(given)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.links.is_empty() && self.places.is_empty()
    }

    /// Takes one argument: a file that exists, a channel, a link, or an address.
    fn take_argument(&mut self, argument: &str) -> anyhow::Result<()> {
        let file = Path::new(argument);
        if file.is_file() {
            let file = fs::canonicalize(file).with_context(|| format!("cannot find {argument}"))?;
            self.place("file", file.display().to_string(), true);
            return Ok(());
        }
        if let Some((key, value)) = address(argument) {
            self.place(key, value, true);
            return Ok(());
        }
        let before = (self.links.len(), self.places.len());
        self.take_text(argument.as_bytes())?;
        if before == (self.links.len(), self.places.len()) {
            return Err(Misuse(format!(
                "{:?} is no file, no share link, no address of a subscription and no channel (@name)",
                argument.chars().take(60).collect::<String>()
            ))
            .into());
        }
        Ok(())
    }

    /// Takes what a person pastes or a program hands over, as [`Self::take_text`] does.
    ///
    /// # Errors
    /// There is text, and nothing in it that could be tried.
    pub(super) fn take_pasted(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let before = (self.links.len(), self.places.len());
        self.take_text(text)?;
        if before == (self.links.len(), self.places.len()) && !text.trim_ascii().is_empty() {
            let why = "no share link, no address of a subscription and no channel (@name) is in that text";
            return Err(Misuse(why.to_owned()).into());
        }
        Ok(())
    }

    /// Takes the links in a text, and the addresses that have a line of their own.
    ///
    /// # Errors
    /// There are more links than a configuration should hold.
    pub(super) fn take_text(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let Parsed { nodes, rejects, .. } = parse(text);
        self.links.extend(nodes.iter().map(|entry| to_link(&entry.spec, &entry.label)));
        if self.links.len() > MOST_LINKS {
            bail!("these are {} links: save them in a file, and give its name to `hezar up`", self.links.len());
        }
        let before = self.places.len();
        if nodes.is_empty() || !rejects.is_empty() {
            let text = String::from_utf8_lossy(text);
            for (key, value) in text.lines().filter_map(|line| address(line.trim())).take(MOST_ADDRESSES) {
                self.place(key, value, false);
            }
        }
        self.refused += rejects.len().saturating_sub(self.places.len() - before);
        Ok(())
    }

    fn place(&mut self, key: &'static str, value: String, is_named: bool) {
        if !self.places.iter().any(|place| place.key == key && place.value == value) {
            self.places.push(Place { key, value, is_named });
        }
    }
}

/// Where this text says that a list is published; `None` for a proxy's address, a file, and any other text.
fn address(text: &str) -> Option<(&'static str, String)> {
    let is_channel = text.strip_prefix('@').is_some_and(|name| {
        (4..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    let is_web = || Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "ssconf"));
    if !is_channel && (text.contains(char::is_whitespace) || !is_web() || !parse(text.as_bytes()).nodes.is_empty()) {
        return None;
    }
    match place_of(text) {
        (key @ ("url" | "telegram" | "github"), Value::String(value)) => Some((key, value)),
        _ => None,
    }
}

/// Everything that can be read, up to a bound.
///
/// # Errors
/// There is more, or it cannot be read.
pub(super) fn read_bounded(reader: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(MOST_BYTES + 1).read_to_end(&mut text).context("cannot read standard input")?;
    if text.len() as u64 > MOST_BYTES {
        bail!(
            "this is more than {}: save it in a file, and give its name to `hezar up`",
            crate::output::bytes(MOST_BYTES)
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SS: &str = "ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388#one";

    fn read(text: &str) -> Given {
        let mut given = Given::default();
        given.take_text(text.as_bytes()).unwrap();
        given
    }

    fn places(given: &Given) -> Vec<(&str, &str, bool)> {
        given.places.iter().map(|place| (place.key, place.value.as_str(), place.is_named)).collect()
    }

    #[test]
    fn links_and_addresses_are_found_in_a_pasted_chat() {
        let chat = format!(
            "Sara, [12:01]\nسلام، این‌ها کار می‌کنند:\n{SS}\n\nhttps://sub.example/a?token=x\n\
             see https://news.example/ for more\n@my_channel\n"
        );
        let given = read(&chat);
        assert_eq!(given.links.len(), 1, "{given:?}");
        assert_eq!(
            places(&given),
            [("url", "https://sub.example/a?token=x", false), ("telegram", "@my_channel", false)]
        );
    }

    #[test]
    fn one_argument_is_a_file_a_link_or_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.txt");
        fs::write(&file, SS).unwrap();
        for (argument, key) in [
            ("https://sub.example/a?token=x", "url"),
            ("https://t.me/s/some_channel", "telegram"),
            ("https://github.com/me/list", "github"),
            ("@some_channel", "telegram"),
            (file.to_str().unwrap(), "file"),
        ] {
            let mut given = Given::default();
            given.take_argument(argument).unwrap();
            assert_eq!(
                (given.places[0].key, given.places[0].is_named, given.links.len()),
                (key, true, 0),
                "{argument}"
            );
        }
        for link in [SS, "socks5://192.0.2.1:1080", "http://192.0.2.1:3128"] {
            let mut given = Given::default();
            given.take_argument(link).unwrap();
            assert_eq!((given.links.len(), given.places.len()), (1, 0), "{link}");
        }
        let error = Given::default().take_argument("missing.txt").unwrap_err();
        assert!(error.to_string().contains("missing.txt"), "{error}");
    }

    #[test]
    fn a_text_with_nothing_in_it_is_no_empty_line() {
        let error = Given::default().take_pasted(b"hello\n\n").unwrap_err();
        assert!(error.to_string().contains("no share link"), "{error}");
        let mut given = Given::default();
        given.take_pasted(b" \n\n").unwrap();
        assert!(given.is_empty());
        given.take_pasted(SS.as_bytes()).unwrap();
        assert_eq!(given.links.len(), 1);
    }

    #[test]
    fn what_is_too_much_for_a_configuration_is_said() {
        let many: String = (0..=MOST_LINKS).map(|n| format!("socks5://192.0.2.1:{}\n", 1000 + n)).collect();
        let error = Given::default().take_text(many.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("save them in a file"), "{error}");
        assert!(read_bounded(std::io::repeat(b'a')).is_err());
    }
}
