//! The roles that a process has among several that share a store.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::settings::{Given, SettingValue};

/// A part of the work. A process that runs alone has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads the sources.
    Fetch,
    /// Probes nodes.
    Probe,
    /// Serves clients of the proxy.
    Gateway,
    /// Serves the API and the page.
    Api,
}

impl Role {
    /// Every role, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Fetch, Self::Probe, Self::Gateway, Self::Api];

    /// The name in the configuration and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Probe => "probe",
            Self::Gateway => "gateway",
            Self::Api => "api",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The roles of one process: at least one. It is written as `fetch,probe`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self(Role::ALL.into_iter().fold(0, |bits, role| bits | role.bit()))
    }

    /// These roles; `None` when there is none.
    #[must_use]
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Option<Self> {
        let bits = roles.into_iter().fold(0, |bits, role| bits | role.bit());
        (bits != 0).then_some(Self(bits))
    }

    /// Whether a role is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether none is missing.
    #[must_use]
    pub fn are_all(self) -> bool {
        self == Self::all()
    }

    /// The roles in the order in which they are shown.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text names no roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the roles are some of fetch, probe, gateway and api, separated by commas")]
pub struct ParseRolesError;

impl FromStr for Roles {
    type Err = ParseRolesError;

    fn from_str(text: &str) -> Result<Self, ParseRolesError> {
        let role = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name.trim());
        let roles: Option<Vec<Role>> = text.split(',').map(role).collect();
        roles.and_then(Self::new).ok_or(ParseRolesError)
    }
}

impl SettingValue for Roles {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array", "string"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let names = Vec::<String>::parse(given, &())?;
        names.join(",").parse().ok()
    }

    fn expected((): &()) -> String {
        "a list of \"fetch\", \"probe\", \"gateway\" and \"api\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.iter().map(|role| Given::Text(role.name().to_owned())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for bits in 1..=Roles::all().0 {
            let roles = Roles(bits);
            assert_eq!(roles.to_string().parse(), Ok(roles));
            assert_eq!(Roles::parse(&roles.write().unwrap(), &()), Some(roles));
            assert_eq!(Roles::new(roles.iter()), Some(roles));
        }
        assert_eq!(" probe , fetch".parse::<Roles>().unwrap().to_string(), "fetch,probe");
        for wrong in ["", "fetch,", "prober", "fetch probe"] {
            assert_eq!(wrong.parse::<Roles>(), Err(ParseRolesError), "{wrong:?}");
        }
        let variable = Given::Variable("gateway,api".to_owned());
        let read = Roles::parse(&variable, &()).unwrap();
        assert!(read.has(Role::Api) && !read.has(Role::Probe) && !read.are_all());
        assert_eq!(Roles::parse(&Given::List(Vec::new()), &()), None);
    }
}
