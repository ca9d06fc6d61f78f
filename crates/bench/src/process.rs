//! What processes take of the machine, as the kernel counts it, and who comes first. Nothing is known where there is no `/proc`.

use std::path::PathBuf;
use std::time::Duration;

/// The kernel counts in hundredths of a second for whoever asks by `/proc`, on every architecture that Linux runs on here.
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` after the name, which may hold blanks and brackets.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn ticks(fields: &[String], range: std::ops::Range<usize>) -> Duration {
    let sum: u64 = fields[range].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    TICK * u32::try_from(sum).unwrap_or(u32::MAX)
}

/// CPU time that a process has taken, threads that ended among it.
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    stat(pid).filter(|fields| fields.len() > 15).map(|fields| ticks(&fields, 11..13))
}

/// The children of a process, each with the fields of its stat.
fn children(pid: u32) -> Option<impl Iterator<Item = (u32, Vec<String>)>> {
    let pid = pid.to_string();
    Some(std::fs::read_dir("/proc").ok()?.filter_map(move |entry| {
        let child: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let fields = stat(child).filter(|fields| fields.len() > 16)?;
        (fields[1] == pid).then_some((child, fields))
    }))
}

/// CPU time of a process, of its children and of those that have ended.
pub(crate) fn cpu_of_family(pid: u32) -> Option<Duration> {
    let parent = || stat(pid).filter(|fields| fields.len() > 15);
    loop {
        let fields = parent()?;
        let children: Duration = children(pid)?.map(|(_, fields)| ticks(&fields, 11..13)).sum();
        // A child that ended meanwhile was in neither, or in both.
        if parent()?[13..15] == fields[13..15] {
            return Some(ticks(&fields, 11..15) + children);
        }
    }
}

/// Memory that a process holds at this moment and no other shares with it being counted as well, in MB (RSS).
pub(crate) fn resident_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kb| kb / 1024.0)
}

/// The process that a process was started by.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Does `work` with this thread, and all that it starts, on one core. Where that cannot be had it is done on any: `false`.
#[cfg(target_os = "linux")]
pub(crate) fn on_core<T>(core: usize, work: impl FnOnce(bool) -> T) -> T {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(before) = sched_getaffinity(None) else { return work(false) };
    let mut only = CpuSet::new();
    only.set(core);
    let is_pinned = before.is_set(core) && sched_setaffinity(None, &only).is_ok();
    let done = work(is_pinned);
    if is_pinned {
        // It was so before: it can be so again.
        let _ = sched_setaffinity(None, &before);
    }
    done
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn on_core<T>(_: usize, work: impl FnOnce(bool) -> T) -> T {
    work(false)
}

/// Who is so much nicer than another has a third of the other's share of a core that both want.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Starts a process that waits for this one where both want a core: who sends requests is not to be late because of who answers
/// them.
pub(crate) fn behind_this_one<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    // A child is as nice as the thread that starts it, and a thread cannot take back what it is.
    let thread = || {
        // Everybody may be nicer than he is.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICER);
        start()
    };
    let started = std::thread::scope(|threads| threads.spawn(thread).join());
    started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The same of a process that is there, of one thread, of its children and of those that it will have; whether it could be had: somebody
/// else's are not ours to command.
#[cfg(target_os = "linux")]
pub(crate) fn move_behind_this_one(pid: u32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, getpriority_process, setpriority_process};
    let Some(children) = children(pid) else { return false };
    let Ok(own) = getpriority_process(None) else { return false };
    // The parent first: it may have another child meanwhile.
    let mut family = std::iter::once(pid).chain(children.map(|(child, _)| child));
    family.all(|pid| {
        // None would be this process.
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| match setpriority_process(Some(pid), own + NICER) {
            // A child that has ended meanwhile is behind everybody.
            Ok(()) | Err(Errno::SRCH) => true,
            Err(_) => false,
        })
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn move_behind_this_one(_: u32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known() {
        let own = std::process::id();
        let alone = cpu(own);
        assert!(alone.is_some() && cpu_of_family(own) >= alone);
        assert!(resident_mb(own).is_some_and(|mb| mb > 1.0));
        assert!(parent(own).is_some());
        assert_eq!(cpu(u32::MAX), None);
    }

    /// As the kernel tells it; 0 is usual.
    fn niceness(pid: u32) -> Option<i32> {
        stat(pid)?.get(16)?.parse().ok()
    }

    #[test]
    fn what_is_measured_is_nicer_than_who_measures_it() {
        let own = niceness(std::process::id()).unwrap();
        let mut sleep = std::process::Command::new("sleep");
        let mut child = behind_this_one(|| sleep.arg("60").spawn()).unwrap();
        let of_child = niceness(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((of_child, niceness(std::process::id())), (Some((own + 5).min(19)), Some(own)));

        let mut shell = std::process::Command::new("sh");
        let mut parent = shell.args(["-c", "sleep 60; true"]).spawn().unwrap();
        let of_it = loop {
            // It has no child at first.
            if let Some((child, _)) = children(parent.id()).unwrap().next() {
                break child;
            }
        };
        assert!(move_behind_this_one(parent.id()));
        assert_eq!((niceness(parent.id()), niceness(of_it)), (of_child, of_child));
        assert!(!move_behind_this_one(u32::MAX));
        parent.kill().unwrap();
        parent.wait().unwrap();
        let of_it = rustix::process::Pid::from_raw(i32::try_from(of_it).unwrap()).unwrap();
        rustix::process::kill_process(of_it, rustix::process::Signal::KILL).unwrap();
    }
}
