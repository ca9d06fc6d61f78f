//! An account with an outside system: what it may do, and whether it may be called now.

mod config;
mod lane;
mod stats;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jebi_monitor::{Monitor, Operation, Outcome};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::attempt::attempt;
use crate::breaker::{Breaker, Pass};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::mistakes::Mistakes;
use crate::outcome::{Class, Failure};
use crate::rate::Bucket;

pub use config::AccountConfig;
pub use stats::AccountStats;

use lane::{Halt, Lane};

/// APIs that are told apart; those beyond count as one.
const MOST_APIS: usize = 64;
/// Whoever asks to be left alone for no time at all is left alone for this, and each time longer.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// An account. A clone is the same account.
#[derive(Debug, Clone)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    config: AccountConfig,
    clock: Clock,
    monitor: Arc<Monitor>,
    operation: Operation,
    places: Semaphore,
    in_use: AtomicUsize,
    buckets: Vec<Bucket>,
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    mistakes: Mistakes,
    is_stopped: bool,
    budget: Budget,
    paused_until: Duration,
    /// Pauses since something succeeded.
    pauses: u32,
    calls: u64,
    refused: u64,
    errors: [u64; Class::ALL.len()],
}

impl Account {
    pub(crate) fn new(
        name: &str,
        config: AccountConfig,
        clock: &Clock,
        monitor: &Arc<Monitor>,
    ) -> Self {
        let lane = |name: &String| (name.clone(), Arc::new(Lane::new(name, &config, clock)));
        let lanes = config.api_rates.keys().map(lane).collect();
        let buckets = config.rates.iter().map(|rate| Bucket::new(*rate, clock)).collect();
        let state = State {
            breaker: Breaker::new(config.breaker),
            mistakes: Mistakes::new(config.mistakes.per_hour),
            is_stopped: false,
            budget: Budget::new(&config.budget, clock.now()),
            paused_until: Duration::ZERO,
            pauses: 0,
            calls: 0,
            refused: 0,
            errors: [0; Class::ALL.len()],
        };
        Self(Arc::new(Inner {
            name: name.to_owned(),
            clock: clock.clone(),
            monitor: monitor.clone(),
            operation: monitor.track_operation(name),
            places: Semaphore::new(config.limit.clamp(1, Semaphore::MAX_PERMITS)),
            in_use: AtomicUsize::new(0),
            buckets,
            lanes: Mutex::new(lanes),
            state: Mutex::new(state),
            config,
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// One of its APIs, to call. A name without rates of its own is held to those of the account.
    /// What is done wrong at one name stops that one first: work that is not to suffer by other work
    /// has a name of its own. Names are of the program, not of data: 64 are told apart.
    #[must_use]
    pub fn api(&self, name: &str) -> Api {
        let inner = &*self.0;
        let mut lanes = inner.lanes();
        let name = if lanes.len() < MOST_APIS || lanes.contains_key(name) { name } else { "" };
        let lane = lanes
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Lane::new(name, &inner.config, &inner.clock)));
        Api { account: self.clone(), lane: lane.clone() }
    }

    /// Stops it: nothing is called until [`Account::release`]. A kill switch stops one API so.
    pub fn stop(&self) {
        self.0.state().is_stopped = true;
    }

    /// Lets it be called again, and all of its APIs. The account's mistakes of the last hour stay
    /// counted: to release it again and again does not get it blocked.
    pub fn release(&self) {
        self.0.state().is_stopped = false;
        self.0.lanes().values().for_each(|lane| lane.release());
    }

    pub(crate) fn budget<T>(&self, ask: impl FnOnce(&mut Budget, Duration) -> T) -> T {
        ask(&mut self.0.state().budget, self.0.clock.now())
    }
}

/// One API of an account. A clone is the same.
#[derive(Debug, Clone)]
pub struct Api {
    account: Account,
    lane: Arc<Lane>,
}

impl Api {
    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Makes a call when it is its turn: a place, a token of each bucket, and a breaker that lets it
    /// through. The call alone is held to `timeout`, not the wait. Nothing is repeated.
    ///
    /// # Errors
    /// The work's own; [`Class::Unanswered`] after the time-out and [`Class::Panicked`]; without a
    /// call [`Class::Stopped`], [`Class::Paused`], [`Class::BreakerOpen`] and [`Class::QueueFull`].
    pub async fn call<T, E: Into<Failure>>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let (account, lane) = (&*self.account.0, &*self.lane);
        let waits = account.queue(lane)?;
        // A turn is kept until the call begins: tokens that were taken and not used would come to a
        // burst. Who waits for a turn at its API keeps no place from the others.
        let mut turns = Vec::new();
        for bucket in &lane.buckets {
            account.look(lane)?;
            turns.push(bucket.take().await);
        }
        account.look(lane)?;
        let _place = account.place().await;
        for bucket in &account.buckets {
            account.look(lane)?;
            turns.push(bucket.take().await);
        }
        let call = account.begin(lane)?;
        drop((turns, waits));
        let timeout = match call.pass {
            Pass::Probe(shorter) => shorter.min(timeout),
            Pass::Normal | Pass::Refused(_) => timeout,
        };
        let result = attempt(&account.clock, timeout, pin!(work)).await;
        call.end(result)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what is hopeless before it waits.
    fn look(&self, lane: &Lane) -> Result<(), Failure> {
        let now = self.clock.now();
        let state = &mut *self.state();
        match state.breaker.refuses(now) {
            Some(wait) => Err(state.refuse(Class::BreakerOpen, wait)),
            None => state.check(lane, now),
        }
    }

    /// Each API has a queue of its own: thousands that wait for one keep nobody from another.
    fn queue<'a>(&self, lane: &'a Lane) -> Result<Counted<'a>, Failure> {
        let waits = Counted::new(&lane.waiting);
        if lane.waiting.load(Relaxed) > self.config.queue.max(1) {
            return Err(self.state().refuse(Class::QueueFull, Duration::ZERO));
        }
        Ok(waits)
    }

    async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("nobody closes it")
    }

    fn begin<'a>(&'a self, lane: &'a Lane) -> Result<UnderWay<'a>, Failure> {
        let began = self.clock.now();
        let state = &mut *self.state();
        state.check(lane, began)?;
        let pass = match state.breaker.admit(began) {
            Pass::Refused(wait) => return Err(state.refuse(Class::BreakerOpen, wait)),
            pass @ (Pass::Normal | Pass::Probe(_)) => pass,
        };
        state.calls += 1;
        let in_use = Counted::new(&self.in_use);
        Ok(UnderWay { account: self, lane, pass, began, has_ended: false, _in_use: in_use })
    }

    fn record(&self, lane: &Lane, pass: Pass, failure: Option<&mut Failure>) {
        let now = self.clock.now();
        let state = &mut *self.state();
        let class = failure.as_ref().map(|failure| failure.class);
        if state.breaker.record(pass, class.is_some_and(Class::is_outage), now) {
            tracing::warn!(account.name = self.name, "Breaker of {} has opened", self.name);
        }
        self.judge(state, lane, class.is_some_and(Class::is_our_fault), now);
        match failure {
            Some(failure) => {
                state.errors[failure.class as usize] += 1;
                state.pause(failure, &self.config, now);
            }
            None => state.pauses = 0,
        }
    }

    /// Counts what the other side said of a call: whether it was wrong.
    fn judge(&self, state: &mut State, lane: &Lane, is_our_fault: bool, now: Duration) {
        let (name, api) = (&self.name, &lane.name);
        let conduct = &mut *lane.conduct();
        if conduct.kill_switch.record(is_our_fault) {
            tracing::error!(
                account.name = name,
                api.name = api,
                "Stopped {api} of {name}: too many of its calls are refused as wrong"
            );
        }
        if !is_our_fault {
            return;
        }
        if conduct.mistakes.record(now) {
            tracing::warn!(
                account.name = name,
                api.name = api,
                "No more calls of {api} of {name} may be wrong in this hour: it waits"
            );
        }
        if state.mistakes.record(now) {
            tracing::error!(
                account.name = name,
                "No more calls of {name} may be wrong in this hour: all of it waits"
            );
        }
    }
}

impl State {
    fn check(&mut self, lane: &Lane, now: Duration) -> Result<(), Failure> {
        let halt = lane.halt(now);
        if self.is_stopped || halt == Some(Halt::UntilReleased) {
            self.refused += 1;
            return Err(Failure::new(Class::Stopped));
        }
        if let Some(wait) = self.paused_for(now) {
            return Err(self.refuse(Class::Paused, wait));
        }
        if let Some(Halt::For(wait)) = halt {
            return Err(self.refuse(Class::Paused, wait));
        }
        Ok(())
    }

    /// How long all of it is to be left alone.
    fn paused_for(&self, now: Duration) -> Option<Duration> {
        let told = self.paused_until.checked_sub(now).filter(|left| !left.is_zero());
        told.max(self.mistakes.refuses(now))
    }

    fn refuse(&mut self, class: Class, wait: Duration) -> Failure {
        self.refused += 1;
        Failure::new(class).retry_after(Some(wait))
    }

    /// Leaves the other side alone where it asks for that, and tells the caller for how long.
    fn pause(&mut self, failure: &mut Failure, config: &AccountConfig, now: Duration) {
        let is_asked = failure.retry_after.is_some() && failure.class.is_outage();
        if failure.class != Class::Busy && !is_asked {
            return;
        }
        let doubled = 1_u32.checked_shl(self.pauses).unwrap_or(u32::MAX);
        let wait = match failure.retry_after {
            Some(asked) => asked.max(LEAST_PAUSE.saturating_mul(doubled).min(config.pause)),
            None => config.pause.saturating_mul(doubled),
        };
        // Calls that were under way together are told the same, and are one reason to pause.
        self.pauses += u32::from(now >= self.paused_until);
        self.paused_until = self.paused_until.max(now + wait.min(config.max_pause));
        failure.retry_after.get_or_insert(self.paused_until - now);
    }
}

/// A call from its begin to its end.
struct UnderWay<'a> {
    account: &'a Inner,
    lane: &'a Lane,
    pass: Pass,
    began: Duration,
    has_ended: bool,
    _in_use: Counted<'a>,
}

impl UnderWay<'_> {
    fn end<T>(mut self, mut result: Result<T, Failure>) -> Result<T, Failure> {
        self.has_ended = true;
        self.account.record(self.lane, self.pass, result.as_mut().err());
        let outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Error };
        self.account.operation.record(self.took(), outcome);
        result
    }

    fn took(&self) -> Duration {
        self.account.clock.now().saturating_sub(self.began)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.account.operation.record(self.took(), Outcome::Cancelled);
        if let Pass::Probe(_) = self.pass {
            self.account.state().breaker.forget_probe(self.account.clock.now());
        }
    }
}

/// One more, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
