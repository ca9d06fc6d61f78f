//! What the process takes of its machine.

use sysinfo::{
    CpuRefreshKind, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind,
    get_current_pid,
};

/// What was seen of the process and its machine. What is not known is absent, and `absent` says why.
#[derive(Debug, Clone, Default)]
pub(crate) struct System {
    /// Of all cores, by this process alone.
    pub(crate) cpu_share: Option<f64>,
    /// Of all cores, by everything on the machine.
    pub(crate) host_cpu_share: Option<f64>,
    pub(crate) cores: usize,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) host_available_bytes: Option<u64>,
    pub(crate) host_total_bytes: Option<u64>,
    pub(crate) open_files: Option<usize>,
    pub(crate) threads: Option<usize>,
    pub(crate) absent: Vec<(&'static str, &'static str)>,
}

/// Looks at the process again and again: shares of a CPU are of the time between two looks.
pub(super) struct Probe {
    machine: sysinfo::System,
    pid: Option<Pid>,
    looks: u64,
}

impl Probe {
    pub(super) fn new() -> Self {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_cpu_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Self {
            machine: sysinfo::System::new_with_specifics(what),
            pid: get_current_pid().ok(),
            looks: 0,
        }
    }

    pub(super) fn look(&mut self) -> System {
        self.machine.refresh_cpu_usage();
        self.machine.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let pids = self.pid.map(|pid| [pid]);
        let which = ProcessesToUpdate::Some(pids.as_ref().map_or(&[], |pids| &pids[..]));
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.machine.refresh_processes_specifics(which, false, what);
        self.looks += 1;
        let process = self.pid.and_then(|pid| self.machine.process(pid));
        let cores = self.machine.cpus().len().max(1);
        // The first look has nothing before it to compare with.
        let is_compared = self.looks > 1;
        let share = |percent: f32| f64::from(percent) / 100.0;
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let cpu_share = process
            .filter(|_| is_compared)
            .map(|process| share(process.cpu_usage()) / cores as f64);
        let known = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        let mut seen = System {
            cpu_share,
            host_cpu_share: is_compared.then(|| share(self.machine.global_cpu_usage())),
            cores,
            rss_bytes: process.and_then(|process| known(process.memory())),
            host_available_bytes: known(self.machine.available_memory()),
            host_total_bytes: known(self.machine.total_memory()),
            open_files: process.and_then(sysinfo::Process::open_files),
            threads: threads(),
            absent: vec![],
        };
        let unreadable = "this system does not tell";
        let mut absent = |name, is_known: bool, why| {
            if !is_known {
                seen.absent.push((name, why));
            }
        };
        let first = if is_compared { unreadable } else { "it takes a second to measure" };
        absent("cpu_share", seen.cpu_share.is_some(), first);
        absent("rss_mb", seen.rss_bytes.is_some(), unreadable);
        absent("host_memory_available_mb", seen.host_available_bytes.is_some(), unreadable);
        absent("open_files", seen.open_files.is_some(), unreadable);
        absent("threads", seen.threads.is_some(), unreadable);
        seen
    }
}

/// Linux tells by a folder.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
