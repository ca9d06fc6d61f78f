//! The record of what runs in a place, by which the next `dev`, `stop` or `test` finds it.

use anyhow::{Context, Result};

use crate::files;
use crate::place::Place;
use crate::postgres;
use crate::process::{GENTLE, HURRY, Process, end, kill};

/// One process per line, the watcher first; there as long as the watcher holds them.
const RECORD: &str = "processes";

/// # Errors
///
/// When the file cannot be written.
pub(crate) fn write(place: &Place, processes: &[Process]) -> Result<()> {
    let lines = processes.iter().map(|process| process.to_line() + "\n");
    files::write_private(&place.path(RECORD), &lines.collect::<String>())
}

/// # Errors
///
/// When the file cannot be read.
pub(crate) fn read(place: &Place) -> Result<Vec<Process>> {
    let text = files::read(&place.path(RECORD))?.unwrap_or_default();
    Ok(text.lines().filter_map(Process::from_line).collect())
}

pub(crate) fn exists(place: &Place) -> bool {
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
    let processes = read(place)?;
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
