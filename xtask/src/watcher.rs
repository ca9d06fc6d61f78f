//! The watcher: a process of its own that is the parent of all services of a place and ends them
//! together, because the caller may be killed at any moment and then can end nothing.
//!
//! Caller and watcher talk over the watcher's standard input and output, one line each:
//!
//! | caller says | watcher does |
//! |---|---|
//! | a service | starts it; answers `started` or `failed REASON` |
//! | `detach` | goes on without its caller |
//! | `stop`, or a SIGTERM | ends all services in good order |
//! | nothing any more: it died | ends all services in a hurry |
//!
//! When a service ends by itself the watcher says so and ends the others in a hurry. Both sides
//! learn of the other's death by the end of the pipe.

mod watching;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

pub(crate) use self::watching::watch;
use crate::place::Place;
use crate::service::Service;
use crate::{files, record};

const DETACH: &str = "detach";
const STOP: &str = "stop";
const READY: &str = "watching";
const STARTED: &str = "started";
const FAILED: &str = "failed ";

/// The caller's hold on its watcher; letting it go ends all services, [`Watcher::detach`] apart.
pub(crate) struct Watcher<'a> {
    place: &'a Place,
    child: Child,
    orders: Option<ChildStdin>,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

/// What the caller hears.
enum Event {
    Report(String),
    Interrupted,
    WatcherEnded,
}

/// Why [`Watcher::wait`] returned.
pub(crate) enum Waited {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// `cargo xtask stop` from elsewhere.
    StoppedElsewhere,
}

impl<'a> Watcher<'a> {
    /// Starts the watcher of a place where nothing runs.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) fn start(place: &'a Place) -> Result<Self> {
        let log = place.path("watcher.log");
        files::write_private(&log, "")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["watch", place.purpose.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().append(true).open(&log)?)
            .spawn()
            .context("cannot start the watcher")?;
        let orders = child.stdin.take();
        let reports = child.stdout.take().context("the watcher has no standard output")?;
        let (sender, events) = mpsc::channel();
        let to_caller = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(reports).lines().map_while(Result::ok) {
                pass_on(&to_caller, Event::Report(line));
            }
            pass_on(&to_caller, Event::WatcherEnded);
        });
        let watcher = Self { place, child, orders, sender, events };
        let report = watcher.report()?;
        ensure!(report == READY, "the watcher says {report:?}: its log is {}", log.display());
        Ok(watcher)
    }

    /// Starts a service and waits until it can serve. When it ends instead, the end of its log is
    /// shown.
    ///
    /// # Errors
    ///
    /// When it cannot be run, ends, or takes longer than a minute.
    pub(crate) fn start_until(
        &mut self,
        service: &Service,
        mut is_ready: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        self.order(&service.to_line()?)?;
        let report = self.report()?;
        ensure!(report == STARTED, "{}", report.trim_start_matches(FAILED));
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready()? {
            let name = &service.name;
            let log = service.log.display();
            match self.events.recv_timeout(Duration::from_millis(20)) {
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    show_end_of(service)?;
                    bail!(
                        "{name} was not ready after {READY_WITHIN:?}: see its log above and in {log}"
                    )
                }
                Ok(Event::Report(report)) => {
                    show_end_of(service)?;
                    bail!("{report} before {name} was ready: see its log above and in {log}")
                }
                Ok(Event::Interrupted | Event::WatcherEnded) | Err(_) => return Err(died()),
            }
        }
        Ok(())
    }

    /// Makes Ctrl-C and SIGTERM an answer of [`Watcher::wait`]; until then they end the caller, and
    /// the services in a hurry.
    ///
    /// # Errors
    ///
    /// When the system takes no handler.
    pub(crate) fn catch_signals(&self) -> Result<()> {
        let sender = self.sender.clone();
        ctrlc::set_handler(move || pass_on(&sender, Event::Interrupted))?;
        Ok(())
    }

    /// Waits for Ctrl-C, SIGTERM or a `stop` from elsewhere.
    ///
    /// # Errors
    ///
    /// When a service or the watcher ends.
    pub(crate) fn wait(&self) -> Result<Waited> {
        match self.events.recv()? {
            Event::Interrupted => Ok(Waited::Interrupted),
            Event::Report(report) => {
                bail!("{report} and the rest was ended: run `cargo xtask dev` again")
            }
            // Asked to stop, the watcher ends its services and takes their record away.
            Event::WatcherEnded if self.is_on_record()? => Err(died()),
            Event::WatcherEnded => Ok(Waited::StoppedElsewhere),
        }
    }

    /// Leaves the services running.
    ///
    /// # Errors
    ///
    /// When the watcher has died.
    pub(crate) fn detach(mut self) -> Result<()> {
        self.order(DETACH)?;
        self.orders = None;
        Ok(())
    }

    /// Ends the services in good order.
    ///
    /// # Errors
    ///
    /// When one does not end.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.order(STOP)?;
        self.finish()
    }

    fn order(&mut self, line: &str) -> Result<()> {
        let orders = self.orders.as_mut().ok_or_else(died)?;
        writeln!(orders, "{line}").map_err(|_| died())
    }

    fn report(&self) -> Result<String> {
        match self.events.recv()? {
            Event::Report(report) => Ok(report),
            Event::Interrupted | Event::WatcherEnded => Err(died()),
        }
    }

    /// Lets the watcher see that nothing more will come, and cleans up after one that was killed.
    fn finish(&mut self) -> Result<()> {
        self.orders = None;
        self.child.wait()?;
        if self.is_on_record()? {
            record::end_all(self.place)?;
        }
        Ok(())
    }

    /// Whether the place's record is this watcher's: by now another one may have taken over.
    fn is_on_record(&self) -> Result<bool> {
        let processes = record::read(self.place)?;
        Ok(processes.first().is_some_and(|watcher| watcher.pid == self.child.id()))
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        if self.orders.is_some()
            && let Err(error) = self.finish()
        {
            eprintln!("not everything was ended: {error:#}");
        }
    }
}

/// A first start may have to replay what a kill left in the write-ahead log.
const READY_WITHIN: Duration = Duration::from_secs(60);

fn died() -> anyhow::Error {
    anyhow!("the watcher of the services died and they were ended with it: run this again")
}

fn show_end_of(service: &Service) -> Result<()> {
    let log = String::from_utf8_lossy(&std::fs::read(&service.log)?).into_owned();
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(15)..] {
        eprintln!("{}: {line}", service.name);
    }
    Ok(())
}

/// Who does not listen any more is about to end, or has gone on without its watcher.
fn pass_on<T>(sender: &Sender<T>, message: T) {
    sender.send(message).unwrap_or(());
}
