//! One attempt: bounded in time, and a panic is its failure alone.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use crate::clock::Clock;
use crate::outcome::{Class, Failure};

pub(crate) async fn attempt<T, E: Into<Failure>>(
    clock: &Clock,
    timeout: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match clock.before(clock.now().saturating_add(timeout), work).await {
        Some(Ok(result)) => result.map_err(Into::into),
        Some(Err(panic)) => Err(Failure::new(Class::Panicked).because(text(&*panic))),
        None => Err(Failure::new(Class::Unanswered).because(format!("no answer in {timeout:?}"))),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}
