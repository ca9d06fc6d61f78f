//! The watching process itself.

use std::io::Write;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{DETACH, FAILED, READY, STARTED, STOP, pass_on};
use crate::place::Place;
use crate::process::{self, GENTLE, HURRY, Process};
use crate::record;
use crate::service::Service;

/// The watching process: `cargo xtask watch`, started by [`super::Watcher::start`].
///
/// # Errors
///
/// When the record of the processes cannot be written, or a service does not end.
pub(crate) fn watch(place: &Place) -> Result<()> {
    // A session of its own: closing the caller's terminal does not reach it.
    rustix::process::setsid().context("cannot leave the caller's session")?;
    let this = Process::find("watcher", std::process::id()).context("cannot find this process")?;
    let mut watch = Watch { place, processes: vec![this], children: Vec::new() };
    record::write(place, &watch.processes)?;
    let orders = orders()?;
    tell(READY);
    let outcome = watch.until_asked_or_broken(&orders);
    let haste = outcome.as_ref().map_or(Haste::Hurry, |haste| *haste);
    watch.end(haste)?;
    watch.reap()?;
    outcome.map(|_| ())
}

/// How late an ended service is noticed; everything else is noticed at once.
const POLL: Duration = Duration::from_millis(100);

/// What the watcher hears.
enum Order {
    Line(String),
    Stop,
    CallerDied,
}

#[derive(Clone, Copy)]
enum Haste {
    Gentle,
    Hurry,
}

fn orders() -> Result<Receiver<Order>> {
    let (sender, orders) = mpsc::channel();
    let on_signal = sender.clone();
    ctrlc::set_handler(move || pass_on(&on_signal, Order::Stop))?;
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            pass_on(&sender, Order::Line(line));
        }
        pass_on(&sender, Order::CallerDied);
    });
    Ok(orders)
}

/// Also to the log, which is standard error: the caller may be gone.
fn tell(report: &str) {
    eprintln!("{report}");
    if writeln!(std::io::stdout(), "{report}").is_err() {
        eprintln!("(nobody listens)");
    }
}

struct Watch<'a> {
    place: &'a Place,
    /// The watcher itself, then its services in the order of their start.
    processes: Vec<Process>,
    children: Vec<(String, Child)>,
}

impl Watch<'_> {
    fn until_asked_or_broken(&mut self, orders: &Receiver<Order>) -> Result<Haste> {
        let mut has_caller = true;
        loop {
            match orders.recv_timeout(POLL) {
                Ok(Order::Line(line)) if line == DETACH => has_caller = false,
                Ok(Order::Line(line)) if line == STOP => return Ok(Haste::Gentle),
                Ok(Order::Line(line)) => match self.start(&line) {
                    Ok(()) => tell(STARTED),
                    Err(error) => tell(&format!("{FAILED}{error:#}")),
                },
                Ok(Order::Stop) => return Ok(Haste::Gentle),
                Ok(Order::CallerDied) if has_caller => return Ok(Haste::Hurry),
                Ok(Order::CallerDied) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Haste::Hurry),
            }
            if let Some(ended) = self.ended()? {
                tell(&ended);
                return Ok(Haste::Hurry);
            }
            // `cargo clean` takes the data away under the services.
            if !record::exists(self.place) {
                return Ok(Haste::Hurry);
            }
        }
    }

    fn start(&mut self, line: &str) -> Result<()> {
        let service = Service::from_line(line)?;
        let child = service.start()?;
        // A process that has ended already is not recorded and noticed by `ended`.
        self.processes.extend(Process::find(&service.name, child.id()));
        self.children.push((service.name, child));
        record::write(self.place, &self.processes)
    }

    fn ended(&mut self) -> Result<Option<String>> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(format!("{name} ended ({status})")));
            }
        }
        Ok(None)
    }

    fn end(&self, haste: Haste) -> Result<()> {
        let services = &self.processes[1..];
        match haste {
            // Who was started last needs those before it to finish its work.
            Haste::Gentle => {
                for service in services.iter().rev() {
                    process::end(std::slice::from_ref(service), GENTLE)?;
                }
            }
            Haste::Hurry => process::end(services, HURRY)?,
        }
        record::kill_strays(self.place)?;
        record::forget(self.place)
    }

    /// Who looks for the services by their ids finds none of them, also where init is slow to reap
    /// what this process would leave.
    fn reap(&mut self) -> Result<()> {
        for (_, child) in &mut self.children {
            child.wait()?;
        }
        Ok(())
    }
}
