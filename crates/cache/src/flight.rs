//! One load per key at a time. The load runs in a task of its own; callers only wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use tokio::sync::watch;

use crate::error::LoadError;
use crate::generation::{Cell, Generations};
use crate::key::{Id, Key};
use crate::sync::{AtomicU64, Mutex, lock};
use crate::value::{FIXED, Hit};

pub(crate) type Outcome = Result<Hit, LoadError>;

/// Namespace, scope and key of an entry.
pub(crate) type Fixed = [(Id, Arc<Cell>); FIXED];

/// A load under way.
#[derive(Debug)]
pub(crate) struct Flight {
    id: u64,
    /// The count of invalidations before it began.
    pub(crate) born: u64,
    /// Of its namespace, scope and key.
    pub(crate) cells: Fixed,
    outcome: watch::Sender<Option<Outcome>>,
    /// Until then a failure is given to whoever asks; 0 for none.
    failed_until: AtomicU64,
}

impl Flight {
    /// Whether a caller who comes now may take what it brings: nothing was invalidated since it began.
    fn may_be_joined(&self, generations: &Generations, now: u64) -> bool {
        let is_over = self.outcome.borrow().is_some();
        generations.is_above_floor(self.born)
            && self.cells.iter().all(|(_, cell)| cell.is_unchanged_since(self.born))
            && (!is_over || now < self.failed_until.load(Relaxed))
    }

    /// Ends when nobody waits for it any more.
    pub(crate) async fn is_forsaken(&self) {
        self.outcome.closed().await;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Flights {
    air: Mutex<Air>,
}

#[derive(Debug, Default)]
struct Air {
    flights: HashMap<Key, Arc<Flight>>,
    last_id: u64,
    /// Which load waits for which others.
    waits: Vec<(u64, u64)>,
}

tokio::task_local! {
    /// The load that this task runs.
    static LOADING: u64;
}

/// A caller's place at a flight.
pub(crate) enum Seat {
    /// It began with this caller, who must see that it is flown.
    First(Ticket, Arc<Flight>),
    /// It was under way.
    Joined(Ticket),
}

/// Waits for a flight to end.
pub(crate) struct Ticket {
    outcome: watch::Receiver<Option<Outcome>>,
    flights: Arc<Flights>,
    /// The load that waits here, and for which one.
    wait: Option<(u64, u64)>,
}

impl Flights {
    /// A place at the flight of `key`, which begins now where none can be joined.
    ///
    /// # Errors
    /// [`LoadError::Recursive`] where the flight waits for the caller.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: &Key,
        generations: &Generations,
        now: u64,
        begin: impl FnOnce() -> (u64, Fixed),
    ) -> Result<Seat, LoadError> {
        let loading = LOADING.try_with(|id| *id).ok();
        let mut air = lock(&self.air);
        let joined = air.flights.get(key).filter(|flight| flight.may_be_joined(generations, now));
        if let Some(flight) = joined.cloned() {
            let wait = loading.map(|loading| (loading, flight.id));
            if let Some((loading, awaited)) = wait
                && air.leads_to(awaited, loading)
            {
                return Err(LoadError::Recursive);
            }
            return Ok(Seat::Joined(self.ticket(&mut air, &flight, wait)));
        }
        air.sweep(now);
        air.last_id += 1;
        let (born, cells) = begin();
        let flight = Arc::new(Flight {
            id: air.last_id,
            born,
            cells,
            outcome: watch::channel(None).0,
            failed_until: AtomicU64::new(0),
        });
        air.flights.insert(key.clone(), Arc::clone(&flight));
        let wait = loading.map(|loading| (loading, flight.id));
        Ok(Seat::First(self.ticket(&mut air, &flight, wait), flight))
    }

    /// Runs a load as this flight's, so that what it asks for is known to be asked for by it.
    pub(crate) async fn fly<T>(flight: &Flight, load: impl Future<Output = T>) -> T {
        LOADING.scope(flight.id, load).await
    }

    /// Ends a flight. A failure stays until `failed_until` for those who come later.
    pub(crate) fn land(
        &self,
        key: &Key,
        flight: &Arc<Flight>,
        outcome: Outcome,
        failed_until: u64,
    ) {
        let mut air = lock(&self.air);
        flight.failed_until.store(if outcome.is_err() { failed_until } else { 0 }, Relaxed);
        let stays = outcome.is_err() && failed_until > 0;
        if !stays && air.flights.get(key).is_some_and(|known| known.id == flight.id) {
            air.flights.remove(key);
        }
        flight.outcome.send_replace(Some(outcome));
    }

    fn ticket(
        self: &Arc<Self>,
        air: &mut Air,
        flight: &Flight,
        wait: Option<(u64, u64)>,
    ) -> Ticket {
        air.waits.extend(wait);
        Ticket { outcome: flight.outcome.subscribe(), flights: Arc::clone(self), wait }
    }

    /// Loads under way, and failures that are kept.
    pub(crate) fn len(&self) -> usize {
        lock(&self.air).flights.len()
    }
}

impl Air {
    /// Whether the load `from` waits for `to`, directly or through others.
    fn leads_to(&self, from: u64, to: u64) -> bool {
        let (mut seen, mut next) = (vec![from], vec![from]);
        while let Some(at) = next.pop() {
            if at == to {
                return true;
            }
            for (_, awaited) in self.waits.iter().filter(|(waiting, _)| *waiting == at) {
                if !seen.contains(awaited) {
                    seen.push(*awaited);
                    next.push(*awaited);
                }
            }
        }
        false
    }

    /// Throws failures away that are too old, once there are many.
    fn sweep(&mut self, now: u64) {
        const MANY: usize = 4_096;
        if self.flights.len() >= MANY {
            self.flights.retain(|_, flight| {
                flight.outcome.borrow().is_none() || now < flight.failed_until.load(SeqCst)
            });
        }
    }
}

impl Ticket {
    /// Waits until the flight has ended.
    pub(crate) async fn landed(mut self) -> Outcome {
        let ended = self.outcome.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // The runtime was shut down under it.
            Ok(None) | Err(_) => Err(LoadError::Panicked("the load was stopped".into())),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(wait) = self.wait {
            let waits = &mut lock(&self.flights.air).waits;
            if let Some(at) = waits.iter().position(|known| *known == wait) {
                waits.swap_remove(at);
            }
        }
    }
}
