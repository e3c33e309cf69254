//! The service that `hezar up` offers: the machine's for root, the user's own for everybody else.

use std::path::Path;

use super::super::{GlobalArgs, service as command};
use crate::{
    cli::{InstallServiceArgs, ScopeArgs},
    exposure::is_root,
    output,
    places::SYSTEM_FILE,
    service::{Outcome, Scope, Step, check, is_packaged},
};

/// A service that can be installed or started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Offer {
    /// One user's own.
    User,
    /// The machine's, which is not installed yet.
    System,
    /// The machine's, which a package has installed.
    Packaged,
}

impl Offer {
    /// What this machine and user allow; `None` where no service can run.
    pub(in crate::commands) fn here() -> Option<Self> {
        if !is_root() {
            return check(Scope::User).ok().map(|()| Self::User);
        }
        if is_packaged() {
            return Some(Self::Packaged);
        }
        check(Scope::System).ok().map(|()| Self::System)
    }

    /// The configuration of the machine's service; `None` for a user's own, which reads the user's.
    pub(in crate::commands) fn file(self) -> Option<&'static Path> {
        (self != Self::User).then(|| Path::new(SYSTEM_FILE))
    }

    /// Installs what is missing, and starts it.
    pub(in crate::commands) fn start(self, global: &GlobalArgs) -> anyhow::Result<()> {
        if self == Self::Packaged {
            let started = Step::run(["systemctl", "enable", "--now", "hezar.service"]).perform()?;
            let (Outcome::Done(text) | Outcome::Left(text)) = started;
            output::note(text);
            return Ok(());
        }
        let scope = ScopeArgs { user: self == Self::User, system: self == Self::System };
        command::install(global, &InstallServiceArgs { scope, dry_run: false, force: false, no_start: false }).map(drop)
    }
}
