//! What can go wrong with a Tor client.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a Tor client cannot be started or asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TorError {
    /// A bridge needs a program that is not there.
    #[error("the bridges need the transport {transport:?}, and none of its programs is in PATH: {programs}")]
    NoTransport {
        /// The transport.
        transport: String,
        /// The names of the programs that know it.
        programs: String,
    },
    /// A file of the client could not be read or written.
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
    /// The control port could not be reached, or the connection to it ended.
    #[error("the control port of tor cannot be used")]
    Connection(#[from] io::Error),
    /// There was no answer in time.
    #[error("the control port of tor did not answer in time")]
    Timeout,
    /// What came is not the control protocol.
    #[error("the control port of tor does not speak its protocol: {0}")]
    Malformed(&'static str),
    /// A command was refused.
    #[error("tor refused a command: {status} {text}")]
    Refused {
        /// The status, such as 552.
        status: u16,
        /// What it said.
        text: String,
    },
    /// We cannot log in to the control port.
    #[error("the control port of tor does not let us in: {0}")]
    Login(&'static str),
}
