//! How the operator came in: the port of the SSH session that a command runs in, so that no rule locks it out.

use std::path::Path;

/// Processes above this one that are looked at.
const MOST_ANCESTORS: usize = 32;

/// The port of the SSH server that this process was started through; `None` when it was not, or when that cannot be seen.
///
/// sshd says it in `SSH_CONNECTION` (client address, client port, server address, server port; see ssh(1)). sudo takes the variable
/// away, so the environments of the processes above are looked at too.
pub(crate) fn ssh_port_of_session() -> Option<u16> {
    let own = std::env::var("SSH_CONNECTION").ok();
    own.as_deref().and_then(server_port).or_else(|| port_of_ancestors(Path::new("/proc"), std::process::id()))
}

fn port_of_ancestors(proc: &Path, mut pid: u32) -> Option<u16> {
    for _ in 0..MOST_ANCESTORS {
        let folder = proc.join(pid.to_string());
        let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
        let port = environment.split(|byte| *byte == 0).find_map(|variable| {
            let value = std::str::from_utf8(variable).ok()?.strip_prefix("SSH_CONNECTION=")?;
            server_port(value)
        });
        if port.is_some() {
            return port;
        }
        pid = parent(&folder)?;
    }
    None
}

fn server_port(connection: &str) -> Option<u16> {
    connection.split(' ').nth(3)?.parse().ok().filter(|port| *port > 0)
}

/// The process that started the one of this folder (`PPid` in proc(5)).
fn parent(folder: &Path) -> Option<u32> {
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_processes_above() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: u32, parent: u32, environment: &[u8]| {
            let folder = proc.path().join(pid.to_string());
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("status"), format!("Name:\tx\nPPid:\t{parent}\n")).unwrap();
            std::fs::write(folder.join("environ"), environment).unwrap();
        };
        process(30, 20, b"PATH=/bin\0SUDO_USER=a\0");
        process(20, 10, b"SSH_CONNECTION=192.0.2.1 50000 192.0.2.2 2222\0HOME=/\0");
        process(10, 1, b"");
        process(1, 0, b"");
        assert_eq!(port_of_ancestors(proc.path(), 30), Some(2222));
        assert_eq!(port_of_ancestors(proc.path(), 10), None);
        assert_eq!(port_of_ancestors(proc.path(), 99), None);
        // A process that names itself as its parent does not hold it up.
        process(7, 7, b"SSH_CONNECTION=nonsense\0");
        assert_eq!(port_of_ancestors(proc.path(), 7), None);
    }
}
