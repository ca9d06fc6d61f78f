//! Processes that are provably ours, and how they are ended.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

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

    /// The process that [`Process::to_line`] described.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(' ')?;
        let (pid, began) = rest.split_once(' ')?;
        Some(Self { name: name.to_owned(), pid: pid.parse().ok()?, began: began.to_owned() })
    }

    pub(crate) fn to_line(&self) -> String {
        format!("{} {} {}", self.name, self.pid, self.began)
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

/// Ends all without asking.
///
/// # Errors
///
/// When one may not be signalled or does not end.
pub(crate) fn kill(processes: &[Process]) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::{Process, living_since};

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
    fn a_process_survives_the_way_through_its_record() {
        let line = "postgres 42 Thu Nov 23 12:51:00 2025";
        let process = Process::from_line(line).unwrap();
        assert_eq!((process.name.as_str(), process.pid), ("postgres", 42));
        assert_eq!(process.to_line(), line);
        assert_eq!(Process::from_line("postgres"), None);
    }
}
