//! `performance_optimization.log`: alerts as they are raised and cleared, and a line for every minute. JSON, a line each.
//!
//! Written by a thread of its own, which a full disk may hold up and nobody else waits for. It is also what remembers
//! alerts over a restart: [`alerts`] reads them from it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

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
    writer: Mutex<Option<Writer>>,
    lost: Arc<AtomicU64>,
}

struct Writer {
    lines: SyncSender<String>,
    thread: JoinHandle<()>,
}

impl PerformanceLog {
    pub(super) fn new(path: Option<&Path>, instance: &str) -> Self {
        let lost = Arc::new(AtomicU64::new(0));
        let writer = path.and_then(|path| {
            let (lines, receiver) = sync_channel(WAITING);
            let (path, lost) = (path.to_owned(), Arc::clone(&lost));
            let thread = std::thread::Builder::new().name("performance-log".to_owned());
            let thread = thread.spawn(move || write(&path, &receiver, &lost)).ok()?;
            Some(Writer { lines, thread })
        });
        Self { instance: instance.to_owned(), writer: Mutex::new(writer), lost }
    }

    /// Hands a line on; never waits for the disk.
    pub(super) fn say(&self, said: Said) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Writer { lines, .. }) = &*writer else { return };
        let line = Line { at: Utc::now().to_rfc3339(), instance: self.instance.clone(), said };
        let Ok(line) = serde_json::to_string(&line) else { return };
        if lines.try_send(line + "\n").is_err() && self.lost.fetch_add(1, Relaxed) == 0 {
            tracing::warn!("The performance log's disk holds up its writer; lines are lost");
        }
    }

    /// Waits until all is written that was said; nothing is from then on.
    pub(super) fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { lines, thread }) = writer {
            drop(lines);
            // It panics at nothing, and a stop goes on in any case.
            thread.join().unwrap_or_default();
        }
    }
}

/// Writes until nobody can hand on any more. A disk that takes nothing is told of once, and once that it takes again.
fn write(path: &Path, lines: &Receiver<String>, lost: &AtomicU64) {
    for line in lines {
        match append(path, line.as_bytes()) {
            Ok(()) => {
                let lost = lost.swap(0, Relaxed);
                if lost > 0 {
                    let path = path.display();
                    tracing::info!(lost, "{path} is written again; {lost} lines are lost");
                }
            }
            Err(error) => {
                if lost.fetch_add(1, Relaxed) == 0 {
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
        // Who waited for the lock may hold what somebody else has put aside meanwhile.
        if std::fs::metadata(path)?.len() == file.metadata()?.len() {
            rotate(path)?;
        }
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_holds_nobody_up_and_what_was_lost_is_counted() {
        let log = PerformanceLog::new(Some(Path::new("/dev/full")), "a");
        for _ in 0..10 {
            log.say(Said::Minute { figures: Value::Null });
        }
        log.close();
        assert_eq!(log.lost.load(Relaxed), 10);
        log.say(Said::Minute { figures: Value::Null });
        assert_eq!(log.lost.load(Relaxed), 10, "closed");
    }

    #[test]
    fn what_was_said_is_written_before_it_closes() {
        let (folder, path) = file();
        let log = PerformanceLog::new(Some(&path), "a");
        log.say(Said::Alert(Event { change: Change::Raised, alert: alert("slow", 1, None) }));
        log.close();
        assert_eq!(alerts(&path, "a"), [alert("slow", 1, None)]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
