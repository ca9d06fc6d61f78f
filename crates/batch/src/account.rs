//! An account with an outside system: what it may do, and whether it may be called now.

mod config;
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
use crate::kill_switch::KillSwitch;
use crate::outcome::{Class, Failure};
use crate::rate::{Bucket, Rate};

pub use config::AccountConfig;
pub use stats::AccountStats;

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
    waiting: AtomicUsize,
    in_use: AtomicUsize,
    buckets: Vec<Bucket>,
    apis: BTreeMap<String, Arc<[Bucket]>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    kill_switch: KillSwitch,
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
        let buckets = |rates: &[Rate]| rates.iter().map(|rate| Bucket::new(*rate, clock)).collect();
        let of_api = |(api, rates): (&String, &Vec<Rate>)| {
            let buckets: Vec<Bucket> = buckets(rates);
            (api.clone(), buckets.into())
        };
        let state = State {
            breaker: Breaker::new(config.breaker),
            kill_switch: KillSwitch::new(config.kill_switch),
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
            waiting: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            buckets: buckets(&config.rates),
            apis: config.api_rates.iter().map(of_api).collect(),
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
    #[must_use]
    pub fn api(&self, name: &str) -> Api {
        let buckets = self.0.apis.get(name).cloned().unwrap_or_default();
        Api { account: self.clone(), buckets }
    }

    /// Stops it, as its kill switch does: nothing is called until [`Account::release`].
    pub fn stop(&self) {
        self.0.state().kill_switch.throw();
    }

    /// Lets it be called again after it was stopped.
    pub fn release(&self) {
        self.0.state().kill_switch.release();
    }

    pub(crate) fn budget<T>(&self, ask: impl FnOnce(&mut Budget, Duration) -> T) -> T {
        ask(&mut self.0.state().budget, self.0.clock.now())
    }
}

/// One API of an account. A clone is the same.
#[derive(Debug, Clone)]
pub struct Api {
    account: Account,
    buckets: Arc<[Bucket]>,
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
        let account = &*self.account.0;
        let waits = account.queue()?;
        // A turn is kept until the call begins: tokens that were taken and not used would come to a
        // burst. Who waits for a turn at its API keeps no place from the others.
        let mut turns = Vec::new();
        for bucket in &*self.buckets {
            account.look()?;
            turns.push(bucket.take().await);
        }
        account.look()?;
        let _place = account.place().await;
        for bucket in &account.buckets {
            account.look()?;
            turns.push(bucket.take().await);
        }
        let call = account.begin()?;
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

    /// Refuses what is hopeless before it waits.
    fn look(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let state = &mut *self.state();
        match state.breaker.refuses(now) {
            Some(wait) => Err(state.refuse(Class::BreakerOpen, wait)),
            None => state.check(now),
        }
    }

    fn queue(&self) -> Result<Counted<'_>, Failure> {
        let waits = Counted::new(&self.waiting);
        if self.waiting.load(Relaxed) > self.config.queue.max(1) {
            return Err(self.state().refuse(Class::QueueFull, Duration::ZERO));
        }
        Ok(waits)
    }

    async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("nobody closes it")
    }

    fn begin(&self) -> Result<UnderWay<'_>, Failure> {
        let began = self.clock.now();
        let state = &mut *self.state();
        state.check(began)?;
        let pass = match state.breaker.admit(began) {
            Pass::Refused(wait) => return Err(state.refuse(Class::BreakerOpen, wait)),
            pass @ (Pass::Normal | Pass::Probe(_)) => pass,
        };
        state.calls += 1;
        let in_use = Counted::new(&self.in_use);
        Ok(UnderWay { account: self, pass, began, has_ended: false, _in_use: in_use })
    }

    fn record(&self, pass: Pass, failure: Option<&mut Failure>) {
        let now = self.clock.now();
        let state = &mut *self.state();
        let class = failure.as_ref().map(|failure| failure.class);
        if state.breaker.record(pass, class.is_some_and(Class::is_outage), now) {
            tracing::warn!(account.name = self.name, "Breaker of {} has opened", self.name);
        }
        if state.kill_switch.record(class.is_some_and(Class::is_our_fault)) {
            tracing::error!(
                account.name = self.name,
                "Stopped {}: too many of its calls are refused as wrong",
                self.name
            );
        }
        match failure {
            Some(failure) => {
                state.errors[failure.class as usize] += 1;
                state.pause(failure, &self.config, now);
            }
            None => state.pauses = 0,
        }
    }
}

impl State {
    fn check(&mut self, now: Duration) -> Result<(), Failure> {
        if self.kill_switch.is_thrown() {
            self.refused += 1;
            return Err(Failure::new(Class::Stopped));
        }
        if now < self.paused_until {
            return Err(self.refuse(Class::Paused, self.paused_until - now));
        }
        Ok(())
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
        let wait = failure.retry_after.unwrap_or_else(|| config.pause.saturating_mul(doubled));
        // Calls that were under way together are told the same, and are one reason to pause.
        self.pauses += u32::from(now >= self.paused_until);
        self.paused_until = self.paused_until.max(now + wait.min(config.max_pause));
        failure.retry_after.get_or_insert(self.paused_until - now);
    }
}

/// A call from its begin to its end.
struct UnderWay<'a> {
    account: &'a Inner,
    pass: Pass,
    began: Duration,
    has_ended: bool,
    _in_use: Counted<'a>,
}

impl UnderWay<'_> {
    fn end<T>(mut self, mut result: Result<T, Failure>) -> Result<T, Failure> {
        self.has_ended = true;
        self.account.record(self.pass, result.as_mut().err());
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
