//! `cargo xtask stop`: ends what `dev` started, and what a killed `test` or `bench` left behind.

use anyhow::Result;

use crate::place::{Place, Purpose};
use crate::record;

/// # Errors
///
/// When a process does not end.
pub(crate) fn run() -> Result<()> {
    let dev = Place::open(Purpose::Dev)?;
    let _lock = dev.lock()?;
    let had_dev = record::end_all(&dev)?;
    let (had_test, had_bench) = (end_abandoned(Purpose::Test)?, end_abandoned(Purpose::Bench)?);
    println!("{}", if had_dev || had_test || had_bench { "stopped" } else { "nothing is running" });
    Ok(())
}

/// What is at work holds its lock and goes on.
fn end_abandoned(purpose: Purpose) -> Result<bool> {
    let place = Place::open(purpose)?;
    match place.try_lock()? {
        Some(_lock) => record::end_all(&place),
        None => Ok(false),
    }
}
