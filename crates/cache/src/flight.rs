//! One load per key at a time. The load runs in a task of its own; callers only wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use crate::error::LoadError;
use crate::generation::{Cell, Generations};
use crate::key::{Id, Key};
use crate::sync::{AtomicU64, Mutex, loading, lock, within_load};
use crate::value::{FIXED, Hit};

pub(crate) type Outcome = Result<Hit, LoadError>;

/// Namespace, scope and key of an entry.
pub(crate) type Fixed = [(Id, Arc<Cell>); FIXED];

/// A load under way.
#[derive(Debug)]
pub(crate) struct Flight {
    id: u64,
    /// When it began, in milliseconds.
    began: u64,
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
    /// At this many flights kept failures are thrown away.
    sweep_at: usize,
}

/// A caller's place at a flight.
pub(crate) enum Seat {
    /// It began with this caller, who must see that it is flown.
    First(Ticket, Pilot),
    /// It was under way.
    Joined(Ticket),
}

/// Flies a flight. It lands, whatever becomes of the task that flies it.
#[derive(Debug)]
pub(crate) struct Pilot {
    pub(crate) flight: Arc<Flight>,
    key: Key,
    flights: Arc<Flights>,
    has_landed: bool,
}

/// Waits for a flight to end.
pub(crate) struct Ticket {
    /// When the flight began, in milliseconds.
    pub(crate) began: u64,
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
        let loading = loading();
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
            began: now,
            born,
            cells,
            outcome: watch::channel(None).0,
            failed_until: AtomicU64::new(0),
        });
        air.flights.insert(key.clone(), Arc::clone(&flight));
        let wait = loading.map(|loading| (loading, flight.id));
        let ticket = self.ticket(&mut air, &flight, wait);
        let flights = Arc::clone(self);
        Ok(Seat::First(ticket, Pilot { flight, key: key.clone(), flights, has_landed: false }))
    }

    fn ticket(
        self: &Arc<Self>,
        air: &mut Air,
        flight: &Flight,
        wait: Option<(u64, u64)>,
    ) -> Ticket {
        air.waits.extend(wait);
        let (began, outcome) = (flight.began, flight.outcome.subscribe());
        Ticket { began, outcome, flights: Arc::clone(self), wait }
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

    /// Throws failures away once there are many: those that are too old, and all where that is not enough.
    fn sweep(&mut self, now: u64) {
        const MANY: usize = 4_096;
        if self.flights.len() < self.sweep_at.max(MANY) {
            return;
        }
        let is_in_air = |flight: &Flight| flight.outcome.borrow().is_none();
        self.flights
            .retain(|_, flight| is_in_air(flight) || now < flight.failed_until.load(Relaxed));
        if self.flights.len() > MANY / 2 {
            self.flights.retain(|_, flight| is_in_air(flight));
        }
        // Loads under way may be as many as there are callers: each is looked at a few times at most.
        self.sweep_at = self.flights.len() * 2;
    }

    fn remove(&mut self, key: &Key, flight: &Flight) {
        if self.flights.get(key).is_some_and(|known| known.id == flight.id) {
            self.flights.remove(key);
        }
    }
}

impl Pilot {
    /// Runs a load as this flight's, so that what it asks for is known to be asked for by it.
    pub(crate) async fn fly<T>(&self, load: impl Future<Output = T>) -> T {
        within_load(self.flight.id, load).await
    }

    /// Does what only the newest flight of its key may do; one that was replaced would put something old over
    /// what the newer one has kept.
    pub(crate) fn if_newest(&self, act: impl FnOnce()) -> bool {
        let air = lock(&self.flights.air);
        let newest = air.flights.get(&self.key);
        let is_newest = newest.is_some_and(|newest| newest.id == self.flight.id);
        if is_newest {
            act();
        }
        is_newest
    }

    /// Ends when nobody waits for the flight any more; and nobody will.
    pub(crate) async fn is_forsaken(&self) {
        loop {
            self.flight.outcome.closed().await;
            // Callers come aboard under this lock: perhaps one just did.
            let mut air = lock(&self.flights.air);
            if self.flight.outcome.receiver_count() == 0 {
                air.remove(&self.key, &self.flight);
                return;
            }
        }
    }

    /// Ends the flight. A failure stays until `failed_until` for those who come later.
    pub(crate) fn land(mut self, outcome: Outcome, failed_until: u64) {
        self.end(outcome, failed_until);
    }

    fn end(&mut self, outcome: Outcome, failed_until: u64) {
        self.has_landed = true;
        let mut air = lock(&self.flights.air);
        let stays = outcome.is_err() && failed_until > 0;
        if stays {
            self.flight.failed_until.store(failed_until, Relaxed);
        } else {
            air.remove(&self.key, &self.flight);
        }
        self.flight.outcome.send_replace(Some(outcome));
    }
}

/// The loader panicked where it could not be caught, or the runtime was shut down.
impl Drop for Pilot {
    fn drop(&mut self) {
        if !self.has_landed {
            self.end(Err(LoadError::Panicked("the load was stopped".into())), 0);
        }
    }
}

impl Ticket {
    /// Waits until the flight has ended.
    pub(crate) async fn landed(mut self) -> Outcome {
        let ended = self.outcome.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // A pilot lands what it flies.
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
