//! A command whose program does not speak to the service manager of this one.

use std::path::Path;

use tokio::process::Command;

/// What lets a program speak for the service that it belongs to (sd_notify(3), sd_watchdog_enabled(3)). A child with these would say that this
/// service is ready, alive or about to end.
const OF_THE_SERVICE_MANAGER: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// A command for a child process. It inherits the environment without what belongs to the service manager.
#[must_use]
pub fn child_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in OF_THE_SERVICE_MANAGER {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_speak_for_the_service() {
        let command = child_command(Path::new("tor"));
        let removed = command.as_std().get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name);
        assert_eq!(removed.collect::<Vec<_>>(), OF_THE_SERVICE_MANAGER);
    }
}
