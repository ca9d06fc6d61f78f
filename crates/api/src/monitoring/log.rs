//! `performance_optimization.log`: alerts as they are raised and cleared, and a line for every minute. JSON, a line each.
//!
//! Written by a thread of its own, which a full disk may hold up and nobody else waits for. It is also what remembers
//! alerts over a restart: [`alerts`] reads them from it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use chrono::Utc;
use jebi_monitor::{Alert, Change, Event};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file that would become longer is put aside: `…log.1` is the newest of those.
const MAX_BYTES: u64 = 10 << 20;
/// So many are kept aside.
const KEPT: u32 = 5;
/// Lines that wait for the disk; further ones are counted and left out.
const WAITING: usize = 1_024;

/// One line.
#[derive(Serialize, Deserialize)]
struct Line {
    at: String,
    /// Which process: several may write one file.
    instance: String,
    #[serde(flatten)]
    said: Said,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Said {
    Alert(Event),
    Minute { figures: Value },
}

/// A handle to write lines. Without a file nothing is written.
pub(super) struct PerformanceLog {
    instance: String,
    lines: Option<SyncSender<String>>,
}

impl PerformanceLog {
    pub(super) fn new(path: Option<&Path>, instance: &str) -> Self {
        let lines = path.and_then(|path| {
            let (sender, receiver) = sync_channel(WAITING);
            let path = path.to_owned();
            let thread = std::thread::Builder::new().name("performance-log".to_owned());
            thread.spawn(move || write(&path, &receiver)).ok()?;
            Some(sender)
        });
        Self { instance: instance.to_owned(), lines }
    }

    /// Hands a line on; never waits.
    pub(super) fn say(&self, said: Said) {
        let Some(lines) = &self.lines else { return };
        let line = Line { at: Utc::now().to_rfc3339(), instance: self.instance.clone(), said };
        let Ok(line) = serde_json::to_string(&line) else { return };
        if lines.try_send(line + "\n").is_err() {
            tracing::debug!("A line for the performance log is lost: the disk is behind");
        }
    }
}

/// Writes until nobody can hand on any more. A disk that takes nothing is told of once, and once that it takes again.
fn write(path: &Path, lines: &Receiver<String>) {
    let mut lost = 0_u64;
    for line in lines {
        match (append(path, line.as_bytes()), lost) {
            (Ok(()), 0) => {}
            (Ok(()), _) => {
                tracing::info!(lost, "{} is written again; {lost} lines are lost", path.display());
                lost = 0;
            }
            (Err(error), _) => {
                lost += 1;
                if lost == 1 {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "Cannot write {}; alerts are in this log and on the dashboard only, and a \
                         restart forgets them. Make room, or set JEBI_PERFORMANCE_LOG",
                        path.display()
                    );
                }
            }
        }
    }
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    if file.metadata()?.len() + line.len() as u64 > MAX_BYTES {
        rotate(path)?;
        file = open(path)?;
    }
    let before = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| {
        // Half a line would spoil the next one.
        file.set_len(before).ok();
    })
}

/// Open for this process alone: others that write it wait.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    file.lock()?;
    Ok(file)
}

fn rotate(path: &Path) -> io::Result<()> {
    for number in (1..KEPT).rev() {
        match std::fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::rename(path, aside(path, 1))
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The alerts of a process that the newest two files tell of, the oldest first. What cannot be read is left out.
pub(super) fn alerts(path: &Path, instance: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for path in [aside(path, 1), path.to_owned()] {
        let Ok(file) = File::open(&path) else { continue };
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            let Ok(Line { instance: whose, said: Said::Alert(event), .. }) =
                serde_json::from_slice(&line)
            else {
                continue;
            };
            if whose != instance {
                continue;
            }
            let Event { change, alert } = event;
            let is_it = |known: &&mut Alert| {
                known.rule == alert.rule
                    && known.subject == alert.subject
                    && known.raised_unix_ms == alert.raised_unix_ms
            };
            match (change, alerts.iter_mut().find(is_it)) {
                (Change::Cleared, Some(known)) => known.cleared_unix_ms = alert.cleared_unix_ms,
                (Change::Raised | Change::Cleared, None) => alerts.push(alert),
                (Change::Raised, Some(_)) => {}
            }
        }
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(rule: &str, raised: u64, cleared: Option<u64>) -> Alert {
        Alert {
            rule: rule.to_owned(),
            subject: "GET /a".to_owned(),
            unit: "ms".to_owned(),
            raised_unix_ms: raised,
            cleared_unix_ms: cleared,
            value: 600.0,
            threshold: 500.0,
            cause: String::new(),
            next_step: String::new(),
        }
    }

    fn line(instance: &str, change: Change, alert: Alert) -> Vec<u8> {
        let said = Said::Alert(Event { change, alert });
        let line = Line { at: String::new(), instance: instance.to_owned(), said };
        let mut line = serde_json::to_vec(&line).expect("a line has a form");
        line.push(b'\n');
        line
    }

    fn file() -> (std::path::PathBuf, PathBuf) {
        let name = format!("jebi-{}", u64::from_le_bytes(jebi_db_optimizer::random()));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder of its own");
        let file = folder.join("performance_optimization.log");
        (folder, file)
    }

    #[test]
    fn what_was_told_is_taken_up_also_from_the_file_that_was_put_aside() {
        let (folder, path) = file();
        append(&path, &line("a", Change::Raised, alert("slow", 1, None))).unwrap();
        append(&path, &line("a", Change::Raised, alert("errors", 2, None))).unwrap();
        append(&path, &line("b", Change::Raised, alert("others", 3, None))).unwrap();
        rotate(&path).unwrap();
        append(&path, b"{\"half a line\n").unwrap();
        append(&path, &line("a", Change::Cleared, alert("slow", 1, Some(9)))).unwrap();
        let found = alerts(&path, "a");
        assert_eq!(found, [alert("slow", 1, Some(9)), alert("errors", 2, None)]);
        assert_eq!(alerts(&folder.join("none"), "a"), []);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_are_bounded_in_length_and_number() {
        let (folder, path) = file();
        let long = vec![b'x'; usize::try_from(MAX_BYTES).unwrap() / 2 + 1];
        for _ in 0..10 {
            append(&path, &long).unwrap();
        }
        let files =
            std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().metadata().unwrap());
        let lengths: Vec<u64> = files.map(|file| file.len()).collect();
        assert_eq!(lengths.len(), 1 + KEPT as usize);
        assert!(lengths.iter().all(|length| *length <= MAX_BYTES), "{lengths:?}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
