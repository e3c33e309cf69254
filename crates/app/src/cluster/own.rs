//! What this instance is called, and what the store is told of it.

use std::sync::Arc;

use hezar_core::Role;
use hezar_store::StoreIdentity;

use crate::{config::Config, feed_name, host::host_name};

/// How many characters of the machine's name and of the data folder's number a name has at most.
const HOST_CHARACTERS: usize = 50;
const NUMBER_DIGITS: usize = 6;

/// The configured name, or the machine's with a number that the data folder keeps: two instances on one machine have two folders.
pub(crate) fn name(config: &Config) -> Arc<str> {
    if let Some(name) = &config.cluster.name {
        return Arc::from(&**name);
    }
    let plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let host: String = host_name().chars().filter(plain).take(HOST_CHARACTERS).collect();
    let number = feed_name::load_or_make(&config.data);
    format!("{host}-{}", number.get(..NUMBER_DIGITS).unwrap_or_default()).into()
}

/// Who writes to a shared store: the instance of this name.
pub(crate) fn identity(name: Arc<str>, config: &Config) -> StoreIdentity {
    StoreIdentity {
        instance: name,
        region: Arc::from(&*config.cluster.region),
        is_observer: !config.cluster.roles.has(Role::Probe),
    }
}
