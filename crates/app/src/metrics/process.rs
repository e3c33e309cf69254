//! The metrics of the process, under the names that Prometheus' own clients use for them.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, metrics::gauge::ConstGauge, registry::Registry,
};
use tokio::runtime::Handle;

use super::{gauge, whole};

/// Tasks of the program that have not ended: what a leak would show in.
pub(crate) fn register_tasks(registry: &mut Registry) {
    registry.register_collector(Box::new(TaskCollector(Handle::current())));
}

#[derive(Debug)]
struct TaskCollector(Handle);

impl Collector for TaskCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tasks = whole(self.0.metrics().num_alive_tasks());
        gauge(&mut encoder, ("hezar_tasks", "Tasks that have not ended"), &tasks)
    }
}

/// Processor time, memory and open files of this process, read from `/proc` (proc(5)) when the metrics are asked for.
/// On other systems than Linux there are none.
pub(crate) fn register_process(registry: &mut Registry) {
    if cfg!(target_os = "linux") {
        registry.register_collector(Box::new(ProcessCollector));
    }
}

/// What this process uses of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessUsage {
    /// In user and system mode since the start.
    pub(crate) processor: Duration,
    /// What is in RAM.
    pub(crate) memory_bytes: u64,
}

/// What this process uses of the machine; `None` on other systems than Linux.
#[cfg(target_os = "linux")]
pub(crate) fn process_usage() -> Option<ProcessUsage> {
    let process = linux::read()?;
    let processor = Duration::try_from_secs_f64(process.cpu_seconds).ok()?;
    Some(ProcessUsage { processor, memory_bytes: process.resident_bytes as u64 })
}

/// What this process uses of the machine; `None` on other systems than Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process_usage() -> Option<ProcessUsage> {
    None
}

#[derive(Debug)]
struct ProcessCollector;

#[cfg(not(target_os = "linux"))]
impl Collector for ProcessCollector {
    fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        use prometheus_client::{
            encoding::EncodeMetric,
            metrics::{MetricType, counter::ConstCounter},
        };
        let Some(process) = linux::read() else { return Ok(()) };
        let help = "Processor time of this process in user and system mode";
        ConstCounter::new(process.cpu_seconds).encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            help,
            None,
            MetricType::Counter,
        )?)?;
        let gauges = [
            ("process_resident_memory_bytes", "Memory of this process that is in RAM", process.resident_bytes),
            ("process_virtual_memory_bytes", "Address space of this process", process.virtual_bytes),
            ("process_start_time_seconds", "When this process started, in Unix time", process.start_seconds),
            ("process_open_fds", "Open file descriptors", process.open_files),
            ("process_max_fds", "File descriptors that may be open", process.most_files),
            ("process_threads", "Threads of this process", process.threads),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, (name, help), &ConstGauge::new(value))?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    use rustix::{
        param::{clock_ticks_per_second, page_size},
        process::{Resource, getrlimit},
    };

    /// What the kernel says of this process.
    #[derive(Debug, PartialEq)]
    pub(super) struct Process {
        pub(super) cpu_seconds: f64,
        pub(super) resident_bytes: f64,
        pub(super) virtual_bytes: f64,
        pub(super) start_seconds: f64,
        pub(super) open_files: f64,
        pub(super) most_files: f64,
        pub(super) threads: f64,
    }

    /// The fields of `/proc/self/stat` that are used (proc_pid_stat(5)), as the kernel counts them.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Stat {
        /// Clock ticks in user and system mode.
        pub(super) cpu_ticks: u64,
        pub(super) threads: u64,
        /// Clock ticks from the boot to the start.
        pub(super) start_ticks: u64,
        pub(super) virtual_bytes: u64,
        pub(super) resident_pages: u64,
    }

    impl Stat {
        /// Reads the line. The name of the program stands in parentheses and may hold anything.
        pub(super) fn parse(line: &str) -> Option<Self> {
            let (_, fields) = line.rsplit_once(')')?;
            let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
            // The first of these is the third field of the manual page.
            let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
            Some(Self {
                cpu_ticks: field(14)?.saturating_add(field(15)?),
                threads: field(20)?,
                start_ticks: field(22)?,
                virtual_bytes: field(23)?,
                resident_pages: field(24)?,
            })
        }
    }

    /// Reads everything; `None` where `/proc` is not there.
    pub(super) fn read() -> Option<Process> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let boot = boot_time(&fs::read_to_string("/proc/stat").ok()?)?;
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second().max(1) as f64;
        // One of the descriptors is the one that reads the folder.
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Some(Process {
            cpu_seconds: seconds(stat.cpu_ticks),
            resident_bytes: stat.resident_pages as f64 * page_size() as f64,
            virtual_bytes: stat.virtual_bytes as f64,
            start_seconds: boot as f64 + seconds(stat.start_ticks),
            open_files: open_files as f64,
            most_files: getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64),
            threads: stat.threads as f64,
        })
    }

    /// When the machine was started, in seconds of Unix time.
    pub(super) fn boot_time(stat: &str) -> Option<u64> {
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_name_of_the_program_may_hold_anything() {
            let fields = "S 1 2 3 4 5 6 7 8 9 10 140 15 16 17 18 19 7 21 2200 4096 24";
            let stat = Stat { cpu_ticks: 155, threads: 7, start_ticks: 2200, virtual_bytes: 4096, resident_pages: 24 };
            for name in ["hezar", "a) S 9 (b", ""] {
                assert_eq!(Stat::parse(&format!("12 ({name}) {fields}\n")).as_ref(), Some(&stat), "{name}");
            }
            for bad in ["", "12 hezar S 1", "12 (hezar) S 1 2", "12 (hezar) S x"] {
                assert_eq!(Stat::parse(bad), None, "{bad}");
            }
        }

        #[test]
        fn this_process_is_read() {
            let process = read().unwrap();
            assert!(process.resident_bytes > 1e6 && process.virtual_bytes >= process.resident_bytes, "{process:?}");
            assert!(process.open_files >= 3.0 && process.open_files <= process.most_files, "{process:?}");
            assert!(process.threads >= 1.0, "{process:?}");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
            // The clock may have been set since the machine was started, but hardly by a day.
            assert!((now - process.start_seconds).abs() < 86_400.0, "{process:?} at {now}");
        }
    }
}
