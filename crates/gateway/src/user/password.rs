//! Passwords of users: as plain text, or as a hash by argon2id (RFC 9106) in the PHC string format.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use hezar_core::{
    Secret,
    settings::{Given, Mistake, Optional, SettingValue},
};
use thiserror::Error;

/// The most memory that one verification may take, in KiB: 256 MiB.
const MOST_MEMORY: u32 = 256 * 1024;
/// The most passes over that memory.
const MOST_PASSES: u32 = 16;
/// The most lanes.
const MOST_LANES: u32 = 16;
/// The longest PHC string that is read, in bytes.
const LONGEST_HASH: usize = 512;

/// A password hashed by argon2id, as the text `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. It is hidden in `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash(Secret);

/// Why a text is no hash that can be used, or why none could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The text is not a PHC string of argon2id version 19.
    #[error("it is no argon2id hash, such as \"$argon2id$v=19$m=19456,t=2,p=1$…$…\"")]
    NotArgon2id,
    /// To check a password against it would cost too much.
    #[error("it costs too much: at most m={MOST_MEMORY} (KiB), t={MOST_PASSES} and p={MOST_LANES} are checked")]
    TooCostly,
    /// The hash could not be made: this machine is out of memory or has no random numbers.
    #[error("the hash cannot be made")]
    Failed,
}

impl PasswordHash {
    /// Hashes a password with a new salt: 19 MiB, 2 passes, 1 lane. It takes some tens of milliseconds: not on a thread that serves
    /// requests.
    ///
    /// # Errors
    /// [`PasswordError::Failed`].
    pub fn make(password: &str) -> Result<Self, PasswordError> {
        let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| PasswordError::Failed)?;
        Ok(Self(Secret::new(hash.to_string())))
    }

    /// Takes a hash that was made before, here or by another program.
    ///
    /// # Errors
    /// [`PasswordError`]
    pub fn parse_phc(text: &str) -> Result<Self, PasswordError> {
        if text.len() > LONGEST_HASH {
            return Err(PasswordError::NotArgon2id);
        }
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordError::NotArgon2id)?;
        let is_argon2id = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && hash.salt.is_some()
            && hash.hash.is_some();
        if !is_argon2id {
            return Err(PasswordError::NotArgon2id);
        }
        let cost = Params::try_from(&hash).map_err(|_| PasswordError::NotArgon2id)?;
        let is_cheap = cost.m_cost() <= MOST_MEMORY && cost.t_cost() <= MOST_PASSES && cost.p_cost() <= MOST_LANES;
        if is_cheap { Ok(Self(Secret::new(text))) } else { Err(PasswordError::TooCostly) }
    }

    /// The text, for the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it is the hash of this password. As expensive as [`PasswordHash::make`], or more.
    #[must_use]
    pub(crate) fn verify(&self, password: &str) -> bool {
        let Ok(hash) = phc::PasswordHash::new(self.expose()) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    }
}

impl SettingValue for PasswordHash {
    type Range = ();

    fn read(given: &Given, range: &()) -> Result<Self, Vec<Mistake>> {
        let text = given.text().ok_or_else(|| vec![Mistake::Expected(Self::expected(range))])?;
        // The text is not shown: it may be the password itself.
        Self::parse_phc(text).map_err(|error| vec![Mistake::Message(error.to_string())])
    }

    fn parse(given: &Given, range: &()) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected((): &()) -> String {
        "an argon2id hash such as \"$argon2id$v=19$m=19456,t=2,p=1$…$…\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::hidden())
    }
}

impl Optional for PasswordHash {}
