//! Why a core cannot be started.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a core cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A file of the core could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("{} cannot be started", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No port of the loopback interface is free.
    #[error("no port of 127.0.0.1 is free for the core")]
    NoPort(#[source] io::Error),
    /// What the core is to do cannot be said to it.
    #[error("the configuration of the core cannot be written: {0}")]
    Configuration(String),
}
