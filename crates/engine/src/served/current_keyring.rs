//! The credentials of an inbound as they are now, for connections that outlive changes of them.

use std::{fmt, sync::Arc};

use super::Keyring;

/// Gives the credentials that count at the moment. It is asked for each request of a connection that carries those of many clients.
#[derive(Clone)]
pub struct CurrentKeyring(Arc<dyn Fn() -> Arc<Keyring> + Send + Sync>);

impl CurrentKeyring {
    /// Asks `current` each time.
    pub fn new(current: impl Fn() -> Arc<Keyring> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    /// The credentials of now.
    #[must_use]
    pub fn get(&self) -> Arc<Keyring> {
        (self.0)()
    }
}

/// Credentials that never change.
impl From<Keyring> for CurrentKeyring {
    fn from(keyring: Keyring) -> Self {
        let keyring = Arc::new(keyring);
        Self::new(move || Arc::clone(&keyring))
    }
}

impl fmt::Debug for CurrentKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentKeyring").field(&self.get()).finish()
    }
}
