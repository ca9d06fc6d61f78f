//! `cargo xtask stop`: ends what `dev` started, and what a killed `test` left behind.

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
    let had_test = end_abandoned_test()?;
    println!("{}", if had_dev || had_test { "stopped" } else { "nothing is running" });
    Ok(())
}

/// A test that is at work holds its lock and goes on.
fn end_abandoned_test() -> Result<bool> {
    let test = Place::open(Purpose::Test)?;
    match test.try_lock()? {
        Some(_lock) => record::end_all(&test),
        None => Ok(false),
    }
}
