//! One item: its attempts, the waits between them, and how it ends.

use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select};
use tokio_util::sync::CancellationToken;

use crate::account::Api;
use crate::attempt::attempt;
use crate::batch::{BatchConfig, Strategy};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::outcome::{Class, Error, Failure, Outcome, Verdict};
use crate::progress::{End, Progress, count};
use crate::random::Random;
use crate::rate::Bucket;
use crate::retry::{Decision, Effect, Retry, Situation};

/// What the items of a run have in common.
#[derive(Debug)]
pub(crate) struct Settings {
    clock: Clock,
    api: Option<Api>,
    cancel: CancellationToken,
    deadline: Option<Duration>,
    timeout: Duration,
    effect: Effect,
    retry: Retry,
    bucket: Option<Bucket>,
    budget: Mutex<Budget>,
    random: Random,
    progress: Progress,
}

/// An outcome, and what the limit of those under way is to learn from it.
pub(crate) struct Ended<I, T> {
    pub(crate) outcome: Outcome<I, T>,
    /// Of the attempt that succeeded.
    pub(crate) latency: Option<Duration>,
    pub(crate) is_overload: bool,
}

/// What has become of an item so far.
#[derive(Debug, Default)]
struct Journey {
    attempts: u32,
    snoozes: u32,
    waited: Duration,
    has_called: bool,
    latency: Option<Duration>,
    is_overload: bool,
}

pub(crate) async fn process<I, W, F, T, E>(
    settings: Arc<Settings>,
    work: Arc<W>,
    index: u64,
    item: I,
) -> Ended<I, T>
where
    I: Clone,
    W: Fn(I) -> F,
    F: Future<Output = Result<T, E>>,
    E: Into<Failure>,
{
    let mut journey = Journey::default();
    let result = settings.bring(&mut journey, || work(item.clone())).await;
    let Journey { attempts, snoozes, latency, is_overload, .. } = journey;
    let outcome = Outcome { index, item, attempts, snoozes, result };
    Ended { outcome, latency, is_overload }
}

impl Settings {
    pub(crate) fn new(
        config: &BatchConfig,
        clock: &Clock,
        api: Option<Api>,
        cancel: CancellationToken,
        progress: Progress,
    ) -> Self {
        let now = clock.now();
        let bucket = match config.strategy {
            Strategy::RateLimited => Some(Bucket::new(config.rate, clock)),
            Strategy::Parallel | Strategy::Sequential | Strategy::Chunked | Strategy::Adaptive => {
                None
            }
        };
        Self {
            clock: clock.clone(),
            api,
            cancel,
            deadline: config.deadline.map(|deadline| now.saturating_add(deadline)),
            timeout: config.timeout,
            effect: config.effect,
            retry: config.retry,
            bucket,
            budget: Mutex::new(Budget::new(&config.retry.budget, now)),
            random: Random::new(clock.seed()),
            progress,
        }
    }

    /// Ends when no more items are to be taken in.
    pub(crate) fn stopped(self: Arc<Self>) -> BoxFuture<'static, End> {
        let stopped = async move {
            let cancelled = pin!(self.cancel.cancelled());
            let at = self.deadline.unwrap_or(Duration::MAX);
            match self.clock.before(at, cancelled).await {
                Some(()) => End::Cancelled,
                None => End::DeadlinePassed,
            }
        };
        stopped.boxed()
    }

    /// Tries until there is a result, or it is decided that there will be none.
    async fn bring<F, T, E>(&self, journey: &mut Journey, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failure>,
    {
        loop {
            let failure = match self.once(journey, &work).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let counters = self.progress.counters();
            let wait = match self.retry.decide(&self.situation(journey, &failure)) {
                Decision::GiveUp(verdict) => return Err(Error { verdict, failure }),
                Decision::Repeat(_) if !self.budget(Budget::withdraw) => {
                    return Err(Error { verdict: Verdict::Exhausted, failure });
                }
                Decision::Repeat(wait) => {
                    count(&counters.retries);
                    wait
                }
                Decision::Snooze(wait) => {
                    count(&counters.snoozes);
                    journey.snoozes += 1;
                    journey.waited = journey.waited.saturating_add(wait);
                    wait
                }
            };
            if !self.wait(wait).await {
                return Err(Error { verdict: Verdict::Unfinished, failure });
            }
        }
    }

    fn situation(&self, journey: &Journey, failure: &Failure) -> Situation {
        Situation {
            class: failure.class,
            effect: self.effect,
            attempts: journey.attempts,
            snoozes: journey.snoozes,
            waited: journey.waited,
            budget_left: self.budget(Budget::left),
            retry_after: failure.retry_after,
            random: self.random.share(),
        }
    }

    fn budget<T>(&self, ask: impl FnOnce(&mut Budget, Duration) -> T) -> T {
        match &self.api {
            Some(api) => api.account().budget(ask),
            None => {
                let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
                ask(&mut budget, self.clock.now())
            }
        }
    }

    /// Waits; false where the run ends first. What would end after the deadline waits for that: given
    /// up at once it would make room for the next, and a source would be drained in no time.
    async fn wait(&self, wait: Duration) -> bool {
        let until = self.clock.now().saturating_add(wait);
        let deadline = self.deadline.unwrap_or(Duration::MAX);
        let cancelled = pin!(self.cancel.cancelled());
        self.clock.before(until.min(deadline), cancelled).await.is_none() && until < deadline
    }

    /// One attempt, when it is its turn.
    async fn once<F, T, E>(&self, journey: &mut Journey, work: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failure>,
    {
        if self.cancel.is_cancelled() {
            return Err(Failure::new(Class::Cancelled));
        }
        let (began, is_first) = (OnceLock::new(), !journey.has_called);
        // A panic of the call of `work` itself is caught as well, inside of the future. Pinned here,
        // it is not copied from each layer into the next, which would double their size each time.
        let work = pin!(async {
            began.get_or_init(|| self.clock.now());
            count(&self.progress.counters().calls);
            if is_first {
                self.budget(Budget::deposit);
            }
            work().await
        });
        let turn = pin!(async {
            if let Some(bucket) = &self.bucket {
                drop(bucket.take().await);
            }
            match &self.api {
                Some(api) => api.call(self.timeout, work).await,
                None => attempt(&self.clock, self.timeout, work).await,
            }
        });
        let result = self.in_time(turn, &began).await;
        journey.has_called |= began.get().is_some();
        match &result {
            Ok(_) => {
                journey.attempts += 1;
                let began = began.get().copied().unwrap_or_default();
                journey.latency = Some(self.clock.now().saturating_sub(began));
            }
            Err(failure) => {
                let class = failure.class;
                journey.is_overload |=
                    matches!(class, Class::Unanswered | Class::Busy | Class::Unavailable);
                let is_attempt = began.get().is_some() && class != Class::Busy && class.is_call();
                journey.attempts += u32::from(is_attempt);
            }
        }
        result
    }

    /// Cuts off what outlives the run.
    async fn in_time<T>(
        &self,
        turn: impl Future<Output = Result<T, Failure>> + Unpin,
        began: &OnceLock<Duration>,
    ) -> Result<T, Failure> {
        let is_write_under_way = || self.effect == Effect::Write && began.get().is_some();
        let until_cancelled = pin!(async {
            match select(turn, pin!(self.cancel.cancelled())).await {
                Either::Left((result, _)) => result,
                Either::Right(((), turn)) if is_write_under_way() => turn.await,
                Either::Right(_) => Err(Failure::new(Class::Cancelled)),
            }
        });
        let Some(deadline) = self.deadline else { return until_cancelled.await };
        match self.clock.before(deadline, until_cancelled).await {
            Some(result) => result,
            // What it has done is not known, as after any time-out.
            None if is_write_under_way() => {
                Err(Failure::new(Class::Unanswered).because("the deadline of the run passed"))
            }
            None => Err(Failure::new(Class::DeadlinePassed)),
        }
    }
}
