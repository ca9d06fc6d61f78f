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
    /// Absent where the system is not known to the library.
    machine: Option<(sysinfo::System, Pid)>,
    looks: u64,
}

impl Probe {
    pub(super) fn new() -> Self {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let machine = sysinfo::System::new_with_specifics(what).ok();
        Self { machine: machine.zip(get_current_pid().ok()), looks: 0 }
    }

    pub(super) fn look(&mut self) -> System {
        let mut seen = System { cores: 1, threads: threads(), ..System::default() };
        self.looks += 1;
        // The first look has nothing before it to compare with.
        let is_compared = self.looks > 1;
        if let Some((machine, pid)) = &mut self.machine {
            look(machine, *pid, is_compared, &mut seen);
        }
        let unreadable = "this system does not tell";
        let first = if is_compared { unreadable } else { "it takes a second to measure" };
        seen.absent = [
            ("cpu_share", seen.cpu_share.is_some(), first),
            ("host_cpu_share", seen.host_cpu_share.is_some(), first),
            ("rss_mb", seen.rss_bytes.is_some(), unreadable),
            ("host_memory_available_mb", seen.host_available_bytes.is_some(), unreadable),
            ("open_files", seen.open_files.is_some(), unreadable),
            ("threads", seen.threads.is_some(), unreadable),
        ]
        .into_iter()
        .filter_map(|(figure, is_known, why)| (!is_known).then_some((figure, why)))
        .collect();
        seen
    }
}

fn look(machine: &mut sysinfo::System, pid: Pid, is_compared: bool, seen: &mut System) {
    machine.refresh_cpu_usage();
    machine.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    machine.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
    let known = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
    let share = |percent: f32| f64::from(percent) / 100.0;
    seen.cores = machine.cpus().len().max(1);
    seen.host_available_bytes = known(machine.available_memory());
    seen.host_total_bytes = known(machine.total_memory());
    seen.host_cpu_share = is_compared.then(|| share(machine.global_cpu_usage()));
    if let Some(process) = machine.process(pid) {
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let cores = seen.cores as f64;
        seen.cpu_share = is_compared.then(|| share(process.cpu_usage()) / cores);
        seen.rss_bytes = known(process.memory());
        seen.open_files = process.open_files();
    }
}

/// Linux tells by a folder.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
