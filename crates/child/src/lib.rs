//! Programs that this one starts as child processes: how they are found, started, ended and heard.

mod command;
mod folder;
mod launcher;
mod line_limit;
mod lines;
mod program;
mod spawner;

pub use command::child_command;
pub use folder::{create_private_folder, folder_of};
pub use launcher::{Launcher, become_program};
pub use line_limit::LineLimit;
pub use lines::{Lines, without_control};
pub use program::{find_program, is_program};
pub use spawner::spawn_from_lasting_thread;
