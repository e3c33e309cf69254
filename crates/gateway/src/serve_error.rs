//! Why a listener does not serve.

use std::io;

use hezar_engine::BuildError;
use thiserror::Error;

use crate::ConfigError;

/// Why a listener does not serve, or does not take its settings.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The listening socket is not usable.
    #[error("the listening socket failed: {0}")]
    Socket(#[from] io::Error),
    /// The encrypted inbound cannot be served as the settings describe it.
    #[error("the encrypted inbound cannot be served: {0}")]
    Inbound(#[from] BuildError),
    /// Another listener has this name.
    #[error("a listener named {0} is open already")]
    NameTaken(Box<str>),
    /// No listener has this name.
    #[error("no listener named {0} is open")]
    UnknownListener(Box<str>),
}
