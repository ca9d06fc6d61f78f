//! Processes that are provably ours, and how they are ended.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::files;
use crate::place::Place;
use crate::postgres;

/// How long services may take when nobody waits for them to finish their work.
pub(crate) const HURRY: Duration = Duration::from_millis(1500);

/// How long each service may take to finish its work and write down its data.
pub(crate) const GENTLE: Duration = Duration::from_secs(10);

/// A running process. Process ids are used again, so a process is only ever signalled when it also
/// began at the recorded moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: u32,
    began: String,
}

impl Process {
    /// The process with this id; none when there is none.
    pub(crate) fn find(name: &str, pid: u32) -> Option<Self> {
        Some(Self { name: name.to_owned(), pid, began: beginning_of(pid)? })
    }

    pub(crate) fn is_alive(&self) -> bool {
        beginning_of(self.pid).as_ref() == Some(&self.began)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.is_alive()) else { return Ok(()) };
        match kill_process(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error)
                .with_context(|| format!("cannot end {} (process {})", self.name, self.pid)),
        }
    }

    /// The postmaster takes SIGTERM for "when the last client has gone" and SIGINT for "now".
    fn polite_signal(&self) -> Signal {
        if self.name == postgres::NAME { Signal::INT } else { Signal::TERM }
    }
}

/// Asks all to end, gives them this long together, and kills what is left.
///
/// # Errors
///
/// When one may not be signalled or does not end even when killed.
pub(crate) fn end(processes: &[Process], patience: Duration) -> Result<()> {
    for process in processes {
        process.signal(process.polite_signal())?;
    }
    if are_gone_within(processes, patience) {
        return Ok(());
    }
    kill(processes)
}

fn kill(processes: &[Process]) -> Result<()> {
    for process in processes {
        process.signal(Signal::KILL)?;
    }
    ensure!(
        are_gone_within(processes, HURRY),
        "{} does not end even when killed: look at it with `ps` and run this again",
        describe(processes)
    );
    Ok(())
}

fn are_gone_within(processes: &[Process], patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while processes.iter().any(Process::is_alive) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn describe(processes: &[Process]) -> String {
    let alive = processes.iter().filter(|process| process.is_alive());
    let names = alive.map(|process| format!("{} (process {})", process.name, process.pid));
    names.collect::<Vec<_>>().join(", ")
}

/// When a process began, in words that no other process of this machine shares; none when it has
/// ended, also when only its parent has not noticed yet.
fn beginning_of(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        beginning_by_proc(pid)
    } else {
        beginning_by_ps(pid)
    }
}

fn beginning_by_proc(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = living_since(&stat)?;
    // Ticks count from the start of the machine; another start could bring both numbers again.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{} {ticks}", boot.trim()))
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold anything, also blanks and
/// parentheses: the fields are counted after its end.
fn living_since(stat: &str) -> Option<&str> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18) }
}

fn beginning_by_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=", "-o", "lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C");
    let output = ps.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, began) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| began.trim().to_owned())
}

/// The processes of a place, the watcher first. The file is there as long as the watcher holds them.
const RECORD: &str = "processes";

/// # Errors
///
/// When the file cannot be written.
pub(crate) fn record(place: &Place, processes: &[Process]) -> Result<()> {
    let lines = processes
        .iter()
        .map(|process| format!("{} {} {}\n", process.name, process.pid, process.began));
    files::write_private(&place.path(RECORD), &lines.collect::<String>())
}

/// # Errors
///
/// When the file cannot be read.
pub(crate) fn recorded(place: &Place) -> Result<Vec<Process>> {
    let text = files::read(&place.path(RECORD))?.unwrap_or_default();
    Ok(text.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Process> {
    let (name, rest) = line.split_once(' ')?;
    let (pid, began) = rest.split_once(' ')?;
    Some(Process { name: name.to_owned(), pid: pid.parse().ok()?, began: began.to_owned() })
}

pub(crate) fn has_record(place: &Place) -> bool {
    place.path(RECORD).exists()
}

/// # Errors
///
/// When the file cannot be removed.
pub(crate) fn forget(place: &Place) -> Result<()> {
    files::remove(&place.path(RECORD)).context("cannot remove the record of the processes")
}

/// Ends everything that runs in a place, with its watcher or without, and says whether there was
/// anything.
///
/// # Errors
///
/// When something does not end.
pub(crate) fn end_all(place: &Place) -> Result<bool> {
    let processes = recorded(place)?;
    let (watcher, services) = processes.split_at(processes.len().min(1));
    let found = processes.iter().any(Process::is_alive);
    // The watcher ends its services one after the other; only its death leaves that to us.
    let services_patience = GENTLE * u32::try_from(services.len())?;
    end(watcher, services_patience + HURRY)?;
    end(services, GENTLE)?;
    let found_strays = kill_strays(place)?;
    forget(place)?;
    Ok(found || found_strays)
}

/// Kills what nobody has on record and says whether there was anything.
///
/// # Errors
///
/// When something does not end.
pub(crate) fn kill_strays(place: &Place) -> Result<bool> {
    let mut found = false;
    loop {
        let strays = postgres::strays(place)?;
        if strays.is_empty() {
            return Ok(found);
        }
        kill(&strays)?;
        // One of them may have started another while they were listed.
        found = true;
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, living_since, parse};

    #[test]
    fn this_process_is_alive_and_another_one_with_its_id_is_not() {
        let this = Process::find("test", std::process::id()).unwrap();
        assert!(this.is_alive());
        let earlier = Process { began: "long ago".to_owned(), ..this };
        assert!(!earlier.is_alive());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "1 7 7 0 -1 4194560 1 0 0 0 3 1 0 0 20 0 1 0 98765 1 1";
        assert_eq!(living_since(&format!("42 (a ) b) S {rest}")), Some("98765"));
    }

    #[test]
    fn a_process_that_only_waits_to_be_reaped_has_ended() {
        assert_eq!(living_since("42 (jebi) Z 1 7 7 0 -1 0 1 0 0 0 3 1 0 0 20 0 1 0 98765"), None);
    }

    #[test]
    fn a_recorded_process_is_read_back() {
        let line = "postgres 42 Thu Nov 23 12:51:00 2025";
        let process = parse(line).unwrap();
        assert_eq!((process.name.as_str(), process.pid), ("postgres", 42));
        assert_eq!(process.began, "Thu Nov 23 12:51:00 2025");
        assert_eq!(parse("postgres"), None);
    }
}
