//! N+1: statements that one piece of work, such as a request, runs again and again.
//!
//! They are found by their text and by how often they run, never by how long that takes: seventy statements of
//! 60 µs hide below every threshold of time, until the database is a network away.
//!
//! ```
//! # use jebi_db_optimizer::repeats::{self, Found};
//! # async fn handle() -> u16 { 200 }
//! # async fn example() {
//! let found = Found::default();
//! let status = repeats::watch(&found, handle(), |status| format!("GET /orders ({status})")).await;
//! assert!(found.findings().is_empty());
//! # }
//! ```

mod found;

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt as _;
use jebi_monitor::Operation;

use crate::timings::Timing;

pub use found::{Finding, Found, Turns};

/// A statement may run so often in one piece of work; from the next time on it is a finding.
pub const ALLOWED: u32 = 2;

/// So many different statements of one piece of work are told apart.
const MOST_STATEMENTS: usize = 1_000;
/// So many of them are reported.
const MOST_REPEATED: usize = 20;

/// Why a statement is rightly run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is tried again after a failure.
    Retry,
    /// There is more to write or to read than goes into one statement.
    Chunks,
    /// A list is walked page by page.
    Pages,
}

tokio::task_local! {
    static WORK: Slot;
}

/// Does a piece of work, and reports to `found` which statements it repeats. `name` says what it was; it is
/// called only where statements were run.
///
/// The work ends with the last task that it was handed to ([`current`], [`within`]). Costs two allocations, and some
/// nanoseconds for each statement; nothing is allocated where no statement is run and nothing handed on.
pub fn watch<T>(
    found: &Found,
    work: impl Future<Output = T>,
    name: impl FnOnce(&T) -> String,
) -> impl Future<Output = T> {
    watch_allowing(ALLOWED, found, work, name)
}

/// [`watch`] with another number in place of [`ALLOWED`].
pub(crate) fn watch_allowing<T>(
    allowed: u32,
    found: &Found,
    work: impl Future<Output = T>,
    name: impl FnOnce(&T) -> String,
) -> impl Future<Output = T> {
    let slot = Slot { allowed, found: found.clone(), work: OnceCell::new() };
    // Adapters, not async blocks, which would hold the work twice.
    let named = work.map(|done| {
        WORK.with(|slot| {
            if let Some(work) = slot.work.get() {
                work.whole.name.get_or_init(|| name(&done));
            }
        });
        done
    });
    WORK.scope(slot, named)
}

/// Does one turn of a loop that rightly runs the same statements in every turn: one attempt, one chunk, one page.
/// What is repeated inside the turn is found as before.
///
/// The turn begins to be one when this is called.
pub fn expected<T>(reason: Reason, turn: impl Future<Output = T>) -> impl Future<Output = T> {
    let work = current().map(|Work { whole, .. }| {
        whole.turns[reason as usize].fetch_add(1, Relaxed);
        Work { whole, turn: Some(Arc::default()) }
    });
    within(work, turn)
}

/// A piece of work under way.
#[derive(Clone)]
pub struct Work {
    whole: Arc<Whole>,
    /// The turn of a loop in it, which is counted by itself.
    turn: Option<Arc<Mutex<Runs>>>,
}

/// The work that this task does, for a task that does a part of it. Costs an allocation where no statement was run yet.
#[must_use]
pub fn current() -> Option<Work> {
    WORK.try_with(|slot| slot.work().clone()).ok()
}

/// Does a part of `work`, which may run on another task.
pub fn within<T>(work: Option<Work>, part: impl Future<Output = T>) -> impl Future<Output = T> {
    let Some(work) = work else { return part.left_future() };
    let (allowed, found) = (work.whole.allowed, work.whole.found.clone());
    WORK.scope(Slot { allowed, found, work: OnceCell::from(work) }, part).right_future()
}

/// A statement begins: it is counted, and timed by what this returns.
pub(crate) fn note(text: &str) -> Timing {
    // Outside of any work nobody counts.
    let operation = WORK.try_with(|slot| slot.work().note(text)).unwrap_or_default();
    Timing::new(operation, text)
}

/// What a task knows of its work; nothing is allocated before the first statement.
struct Slot {
    allowed: u32,
    found: Found,
    work: OnceCell<Work>,
}

impl Slot {
    fn work(&self) -> &Work {
        self.work.get_or_init(|| {
            let whole = Whole {
                allowed: self.allowed,
                found: self.found.clone(),
                name: OnceLock::new(),
                runs: Mutex::default(),
                repeated: Mutex::default(),
                turns: Default::default(),
            };
            Work { whole: Arc::new(whole), turn: None }
        })
    }
}

/// How often each statement ran, by its fingerprint.
type Runs = Vec<(u64, u32)>;

/// A piece of work with all its turns, reported when nobody works on it any more.
struct Whole {
    allowed: u32,
    found: Found,
    name: OnceLock<String>,
    runs: Mutex<Runs>,
    repeated: Mutex<Vec<Repeated>>,
    turns: [AtomicU64; 3],
}

/// A statement that ran more often than is allowed.
struct Repeated {
    fingerprint: u64,
    statement: String,
    count: u32,
}

impl Work {
    fn note(&self, text: &str) -> Option<Operation> {
        let fingerprint = fingerprint(text);
        self.count(fingerprint, text);
        self.whole.found.timings().map(|timings| timings.of(fingerprint, text))
    }

    fn count(&self, fingerprint: u64, text: &str) {
        let runs = self.turn.as_deref().unwrap_or(&self.whole.runs);
        let mut all = runs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = all.len() == MOST_STATEMENTS;
        let count = match all.iter_mut().find(|(known, _)| *known == fingerprint) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None if is_full => return,
            None => {
                all.push((fingerprint, 1));
                1
            }
        };
        drop(all);
        if count > self.whole.allowed {
            self.whole.repeats(fingerprint, text, count);
        }
    }
}

impl Whole {
    fn repeats(&self, fingerprint: u64, text: &str, count: u32) {
        let mut all = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = all.len() == MOST_REPEATED;
        match all.iter_mut().find(|known| known.fingerprint == fingerprint) {
            Some(known) => known.count = known.count.max(count),
            None if is_full => {}
            None => {
                let statement = found::shortened(text);
                all.push(Repeated { fingerprint, statement, count });
            }
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let repeated = self.repeated.get_mut().unwrap_or_else(PoisonError::into_inner);
        let turns = self.turns.each_mut().map(|turns| *turns.get_mut());
        if repeated.is_empty() && turns == [0; 3] {
            return;
        }
        // Its caller went away before it could be named.
        let name = self.name.take().unwrap_or_else(|| "abandoned".to_owned());
        self.found.add(&name, std::mem::take(repeated), turns);
    }
}

/// As `FxHash` does it, eight bytes at once. Texts that differ in eight bytes only never meet, and nobody outside
/// chooses texts so that they do.
fn fingerprint(text: &str) -> u64 {
    const ODD: u64 = 0x517c_c1b7_2722_0a95;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]);
    words.fold(text.len() as u64, |hash, word| {
        (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD)
    })
}

#[cfg(test)]
mod tests;
