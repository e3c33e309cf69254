//! What a Tor client says about itself: how far its start is, and which circuits it has.

use std::net::IpAddr;

use super::wire::{value_of, words};

/// How far the start of a client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrap {
    /// From 0 to 100 %.
    pub percent: u8,
    /// The step, such as `conn_done`.
    pub tag: String,
    /// What the step does, in English.
    pub summary: String,
    /// What is wrong, when something is.
    pub warning: Option<String>,
}

impl Bootstrap {
    /// Whether circuits can be built.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.percent >= 100
    }

    /// Reads the value of `GETINFO status/bootstrap-phase`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let words = words(text);
        let text = |key| value_of(&words, key).unwrap_or_default().to_owned();
        Some(Self {
            percent: value_of(&words, "PROGRESS")?.parse().ok().filter(|percent| *percent <= 100)?,
            tag: text("TAG"),
            summary: text("SUMMARY"),
            warning: value_of(&words, "WARNING").map(str::to_owned),
        })
    }
}

/// The last relay of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitRelay {
    /// Its identity: 40 hexadecimal digits.
    pub fingerprint: String,
    /// The name that its operator gave it; may be empty.
    pub nickname: String,
}

/// A circuit that is built and used by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Its number, which rises with each new one.
    pub id: u64,
    /// The user name of SOCKS whose streams it carries.
    pub username: String,
    /// Where it ends.
    pub exit: ExitRelay,
}

impl Circuit {
    /// Reads the value of `GETINFO circuit-status`: the built circuits that carry the streams of a user of SOCKS.
    pub(super) fn read_all(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::read).collect()
    }

    /// Reads a line such as `7 BUILT $AAAA~one,$BBBB~two BUILD_FLAGS=… PURPOSE=GENERAL SOCKS_USERNAME="x"`.
    fn read(line: &str) -> Option<Self> {
        let words = words(line);
        let [id, status, path, ..] = &words[..] else { return None };
        if status != "BUILT" || path.contains('=') && !path.starts_with('$') {
            return None;
        }
        let last = path.rsplit(',').next()?.strip_prefix('$')?;
        let (fingerprint, nickname) = last.split_once(['~', '=']).unwrap_or((last, ""));
        let is_fingerprint = fingerprint.len() == 40 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_fingerprint.then_some(())?;
        Some(Self {
            id: id.parse().ok()?,
            username: value_of(&words, "SOCKS_USERNAME")?.to_owned(),
            exit: ExitRelay { fingerprint: fingerprint.to_owned(), nickname: nickname.to_owned() },
        })
    }
}

/// The address in a relay's entry of the consensus (`GETINFO ns/id/…`), whose first line begins with `r`.
pub(super) fn address(entry: &str) -> Option<IpAddr> {
    let line = entry.lines().find(|line| line.starts_with("r "))?;
    line.split(' ').find_map(|word| word.parse().ok())
}

/// The two letters of a country in upper case (`GETINFO ip-to-country/…`); `None` when it is not known.
pub(super) fn country(text: &str) -> Option<[u8; 2]> {
    let letters: [u8; 2] = text.trim().as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_with_its_warning() {
        let text =
            r#"WARN BOOTSTRAP PROGRESS=10 TAG=conn_done SUMMARY="Connected to a relay" WARNING="Clock skew" REASON=X"#;
        let bootstrap = Bootstrap::read(text).unwrap();
        assert_eq!((bootstrap.percent, &*bootstrap.tag, bootstrap.is_done()), (10, "conn_done", false));
        assert_eq!((&*bootstrap.summary, bootstrap.warning.as_deref()), ("Connected to a relay", Some("Clock skew")));
        assert!(Bootstrap::read("NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"").unwrap().is_done());
        assert_eq!(Bootstrap::read("NOTICE BOOTSTRAP PROGRESS=101"), None);
    }

    #[test]
    fn circuits_of_users_are_read_and_others_are_not() {
        let (a, b) = ("A".repeat(40), "B".repeat(40));
        let text = format!(
            "\n7 BUILT ${a}~one,${b}~two BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL SOCKS_USERNAME=\"hezar-1-0\" SOCKS_PASSWORD=\"x\"\n\
             8 BUILT ${a}~one PURPOSE=GENERAL\n9 LAUNCHED PURPOSE=GENERAL SOCKS_USERNAME=\"y\"\n\
             10 EXTENDED ${a} SOCKS_USERNAME=\"z\"\nx\n11 BUILT $zz SOCKS_USERNAME=\"z\""
        );
        let circuits = Circuit::read_all(&text);
        let [circuit] = &circuits[..] else { panic!("{circuits:?}") };
        assert_eq!((circuit.id, &*circuit.username), (7, "hezar-1-0"));
        assert_eq!(circuit.exit, ExitRelay { fingerprint: b, nickname: "two".to_owned() });
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in "[ -~\n]{0,200}", lines in proptest::collection::vec("[0-9+. \\-A-Z\"=$~,]{0,40}", 0..8)) {
            for text in [text, lines.join("\n")] {
                let _ = (Bootstrap::read(&text), Circuit::read_all(&text), address(&text), country(&text));
                let mut decoder = super::super::wire::ReplyDecoder::default();
                for line in text.lines() {
                    let _ = decoder.line(line);
                }
            }
        }
    }

    #[test]
    fn addresses_and_countries_of_relays() {
        let entry = "r name AAAA BBBB 2026-01-01 00:00:00 192.0.2.7 9001 0\ns Exit Fast";
        assert_eq!(address(entry), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(address("s Exit"), None);
        assert_eq!((country("de\n"), country("??"), country("deu")), (Some(*b"DE"), None, None));
    }
}
