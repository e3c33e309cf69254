//! The limit of open files, and the kernel's table of them.

/// The most descriptors that the table is made for in advance: some 15,000 tunnels, for 256 KiB of the kernel's memory.
#[cfg(target_os = "linux")]
const WIDE: u64 = 1 << 15;

/// Raises the limit of open files as far as the system allows, and makes room for many of them. Gives the limit.
pub(crate) fn raise_open_file_limit() -> u64 {
    let limit = ::rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    #[cfg(target_os = "linux")]
    widen(limit);
    limit
}

/// Linux makes a full table twice as large, and a process with threads waits for all of its cores meanwhile: 10 to 25 ms without an
/// `accept` at 64, 128, 256 … open files. One high descriptor, for a moment, makes it large at once.
#[cfg(target_os = "linux")]
fn widen(limit: u64) {
    let high = i32::try_from(limit.min(WIDE)).unwrap_or_default() - 1;
    // Without it the table grows as it always did.
    drop(rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), high));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_table_is_wide_from_the_start() {
        let limit = super::raise_open_file_limit();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(size.trim().parse::<u64>().unwrap() >= limit.min(super::WIDE), "{size} of {limit}");
    }
}
