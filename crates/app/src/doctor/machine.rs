//! The machine: open files, memory, disk, settings of the kernel, time zone.

use std::{env, fs, path::Path};

use super::Finding;
use crate::{
    disk::{self, DiskSpace},
    output,
};

/// Open files below which a busy proxy runs out: a tunnel needs two.
const ENOUGH_FILES: u64 = 16_384;
/// Open files below which nothing works well.
const FEWEST_FILES: u64 = 1_024;
/// Memory for a pool of some ten thousand nodes with their requests.
const ENOUGH_MEMORY: u64 = 256 << 20;
/// Memory below which the system may kill the program.
const LEAST_MEMORY: u64 = 64 << 20;
const ENOUGH_DISK: u64 = 1 << 30;
const LEAST_DISK: u64 = 64 << 20;
/// Ports for connections to nodes.
const ENOUGH_PORTS: u32 = 16_384;
const ENOUGH_BACKLOG: u32 = 1_024;

/// Everything about the machine.
pub(super) fn findings(data: &Path) -> Vec<Finding> {
    let mut found = vec![
        open_files(rlimit::Resource::NOFILE.get().ok()),
        memory(fs::read_to_string("/proc/meminfo").ok().as_deref()),
        disk(disk::space_at(existing(data))),
        time_zone(env::var("TZ").ok().as_deref(), |zone| Path::new("/usr/share/zoneinfo").join(zone).is_file()),
    ];
    found.extend(kernel(|name| fs::read_to_string(Path::new("/proc/sys/net").join(name)).ok()));
    found
}

/// The nearest folder above that exists: the data folder may not have been made yet.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.is_dir()).unwrap_or_else(|| Path::new("."))
}

/// The soft and the hard limit of open files; the program raises the soft one by itself.
fn open_files(limits: Option<(u64, u64)>) -> Finding {
    const CHECK: &str = "open files";
    const ADVICE: &str = "raise the hard limit: LimitNOFILE=1048576 in the service, or `ulimit -Hn` of the user in /etc/security/limits.conf";
    let Some((_, hard)) = limits else { return Finding::skip(CHECK, "the limit is not known") };
    let text = format!("at most {hard}");
    match hard {
        hard if hard < FEWEST_FILES => Finding::fail(CHECK, text, ADVICE),
        hard if hard < ENOUGH_FILES => Finding::warn(CHECK, format!("{text}: about {} tunnels", hard / 2), ADVICE),
        rlimit::INFINITY => Finding::ok(CHECK, "no limit"),
        _ => Finding::ok(CHECK, text),
    }
}

fn memory(meminfo: Option<&str>) -> Finding {
    const CHECK: &str = "memory";
    const ADVICE: &str = "end other programs, or lower pool.max_nodes";
    let available = meminfo.and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let Some(available) = available else { return Finding::skip(CHECK, "what is free is not known") };
    let text = format!("{} free", output::bytes(available));
    match available {
        available if available < LEAST_MEMORY => Finding::fail(CHECK, text, ADVICE),
        available if available < ENOUGH_MEMORY => Finding::warn(CHECK, text, ADVICE),
        _ => Finding::ok(CHECK, text),
    }
}

fn disk(space: Option<DiskSpace>) -> Finding {
    const CHECK: &str = "disk";
    const ADVICE: &str = "make room where the data folder lies; log.max_bytes bounds the log";
    let Some(DiskSpace { free, size }) = space else { return Finding::skip(CHECK, "what is free is not known") };
    let text = format!("{} of {} free", output::bytes(free), output::bytes(size));
    match free {
        free if free < LEAST_DISK => Finding::fail(CHECK, text, ADVICE),
        free if free < ENOUGH_DISK => Finding::warn(CHECK, text, ADVICE),
        _ => Finding::ok(CHECK, text),
    }
}

fn time_zone(zone: Option<&str>, exists: impl Fn(&str) -> bool) -> Finding {
    const CHECK: &str = "time zone";
    let name = zone.map(|zone| zone.trim_start_matches(':')).filter(|zone| !zone.is_empty());
    match name {
        // A rule such as `CET-1CEST` is no file.
        Some(name) if name.contains('/') && !name.starts_with('/') && !exists(name) => Finding::warn(
            CHECK,
            format!("TZ={name} is not known here: times are shown in UTC"),
            "install the package tzdata, or correct TZ",
        ),
        Some(name) => Finding::ok(CHECK, format!("TZ={name}; quotas count days of UTC")),
        None => Finding::ok(CHECK, "that of the system; quotas count days of UTC"),
    }
}

/// Settings of Linux that bound how many connections there may be; `read` gives the file below /proc/sys/net.
fn kernel(read: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let number = |name: &str| read(name)?.trim().parse::<u32>().ok();
    let mut found = Vec::new();
    if let Some(backlog) = number("core/somaxconn") {
        found.push(if backlog < ENOUGH_BACKLOG {
            let text = format!("net.core.somaxconn = {backlog}: bursts of connections are refused");
            Finding::warn("kernel backlog", text, format!("sysctl -w net.core.somaxconn={ENOUGH_BACKLOG}"))
        } else {
            Finding::ok("kernel backlog", format!("net.core.somaxconn = {backlog}"))
        });
    }
    let range = read("ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_ascii_whitespace().map(str::parse::<u32>);
    if let (Some(Ok(first)), Some(Ok(last))) = (ends.next(), ends.next()) {
        let ports = (last + 1).saturating_sub(first);
        let text = format!("net.ipv4.ip_local_port_range = {first} {last}: {ports} ports");
        found.push(if ports < ENOUGH_PORTS {
            Finding::warn("kernel ports", text, "sysctl -w net.ipv4.ip_local_port_range=\"10240 65535\"")
        } else {
            Finding::ok("kernel ports", text)
        });
    }
    let (tracked, most) = (number("netfilter/nf_conntrack_count"), number("netfilter/nf_conntrack_max"));
    if let (Some(tracked), Some(most)) = (tracked, most) {
        let text = format!("{tracked} of {most} connections tracked");
        found.push(if u64::from(tracked) * 10 >= u64::from(most) * 8 {
            Finding::warn(
                "kernel conntrack",
                text,
                format!("sysctl -w net.netfilter.nf_conntrack_max={}", most.saturating_mul(2)),
            )
        } else {
            Finding::ok("kernel conntrack", text)
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn open_files_have_a_limit_that_is_enough() {
        let verdict = |hard| open_files(Some((hard, hard))).verdict;
        assert_eq!([100, 4096, 1 << 20].map(verdict), [Verdict::Fail, Verdict::Warn, Verdict::Ok]);
        assert_eq!(open_files(Some((1024, rlimit::INFINITY))).text, "no limit");
        assert_eq!(open_files(None).verdict, Verdict::Skip);
    }

    #[test]
    fn memory_is_what_the_kernel_calls_available() {
        let verdict = |kib: u64| memory(Some(&format!("MemTotal: 9 kB\nMemAvailable:   {kib} kB\n"))).verdict;
        assert_eq!([1000, 100_000, 1_000_000].map(verdict), [Verdict::Fail, Verdict::Warn, Verdict::Ok]);
        assert_eq!(memory(Some("")).verdict, Verdict::Skip);
    }

    #[test]
    fn a_full_disk_fails() {
        let verdict = |free| disk(Some(DiskSpace { free, size: 1 << 40 })).verdict;
        assert_eq!([1 << 20, 1 << 29, 1 << 35].map(verdict), [Verdict::Fail, Verdict::Warn, Verdict::Ok]);
        assert_eq!(existing(Path::new("/proc/nothing/there")), Path::new("/proc"));
    }

    #[test]
    fn time_zones_that_are_not_installed_are_named() {
        let known = |zone: &str| zone == "Europe/Berlin";
        assert_eq!(time_zone(Some("Europe/Berlin"), known).verdict, Verdict::Ok);
        assert_eq!(time_zone(Some(":Asia/Tehran"), known).verdict, Verdict::Warn);
        for zone in [None, Some(""), Some("CET-1CEST"), Some("UTC")] {
            assert_eq!(time_zone(zone, known).verdict, Verdict::Ok, "{zone:?}");
        }
    }

    #[test]
    fn settings_of_the_kernel_that_are_too_small_are_named() {
        let small = |name: &str| {
            let value = match name {
                "core/somaxconn" => "128\n",
                "ipv4/ip_local_port_range" => "60000\t61000\n",
                "netfilter/nf_conntrack_count" => "90\n",
                "netfilter/nf_conntrack_max" => "100\n",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let found = kernel(small);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|finding| finding.verdict == Verdict::Warn), "{found:?}");
        assert_eq!(kernel(|_| None), Vec::new());
        let usual = kernel(|name| (name == "ipv4/ip_local_port_range").then(|| "32768 60999".to_owned()));
        assert_eq!(usual.first().map(|finding| finding.verdict), Some(Verdict::Ok));
    }
}
