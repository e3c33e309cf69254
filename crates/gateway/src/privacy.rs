//! What the logs do not tell of people.

use hezar_core::settings::{Given, SettingValue};

/// What is left out of the access log and of the lines that the program's log has about requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPrivacy {
    /// Names of users, and their sessions.
    pub users: bool,
    /// Hosts and ports that were asked for.
    pub targets: bool,
    /// Addresses of clients.
    pub clients: bool,
}

impl LogPrivacy {
    /// Everything is told.
    const OFF: Self = Self { users: false, targets: false, clients: false };
    /// Nothing of people is told.
    const ALL: Self = Self { users: true, targets: true, clients: true };

    fn with(self, word: &str) -> Option<Self> {
        Some(match word.trim() {
            "off" => self,
            "users" => Self { users: true, ..self },
            "targets" => Self { targets: true, ..self },
            "clients" => Self { clients: true, ..self },
            "all" => Self::ALL,
            _ => return None,
        })
    }
}

impl SettingValue for LogPrivacy {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text()?.split(',').try_fold(Self::OFF, |privacy, word| privacy.with(word))
    }

    fn expected((): &()) -> String {
        "\"off\", \"users\", \"targets\", \"clients\", several of these such as \"users,targets\", or \"all\""
            .to_owned()
    }

    fn write(&self) -> Option<Given> {
        let words = [(self.users, "users"), (self.targets, "targets"), (self.clients, "clients")];
        let words: Vec<&str> = words.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
        Some(Given::Text(match words.len() {
            0 => "off".to_owned(),
            3 => "all".to_owned(),
            _ => words.join(","),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written() {
        for text in ["off", "users", "targets", "clients", "users,targets", "users,clients", "targets,clients", "all"] {
            let privacy = LogPrivacy::parse(&Given::Text(text.to_owned()), &()).unwrap();
            assert_eq!(privacy.write(), Some(Given::Text(text.to_owned())));
        }
        assert_eq!(
            LogPrivacy::parse(&Given::Text("clients, users".to_owned()), &()).unwrap().write(),
            LogPrivacy { users: true, clients: true, targets: false }.write()
        );
        for text in ["", "none", "users;targets", "users,"] {
            assert_eq!(LogPrivacy::parse(&Given::Text(text.to_owned()), &()), None, "{text}");
        }
    }
}
