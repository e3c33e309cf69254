//! What the system tells of a child process.

/// The resident memory of a process in bytes; `None` when it has ended or the system does not tell (proc(5), `statm`).
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes(_: u32) -> Option<u64> {
    None
}

/// Whether a child process runs. Of one that was killed this is known as soon as its sockets are closed: a process gives its memory back, and
/// with that its command line (proc(5)), before its files.
#[cfg(target_os = "linux")]
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn runs(_: u32) -> bool {
    true
}
