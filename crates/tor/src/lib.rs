//! A Tor client as a child process: its configuration, its start and end, and its control port.

mod control;
mod error;
mod log_lines;
mod process;
mod program;
mod torrc;

pub use control::{Bootstrap, Circuit, ControlConnection, ExitRelay};
pub use error::TorError;
pub use log_lines::{TorLogLevel, TorLogLine};
pub use process::{TorEvent, TorFolder, TorProcess};
pub use program::{TransportProgram, find_transports};
pub use torrc::Torrc;
