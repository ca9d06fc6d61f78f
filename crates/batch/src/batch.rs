//! A batch: how items are worked off, and the run of one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio_util::sync::CancellationToken;

use crate::account::Api;
use crate::clock::Clock;
use crate::item::{Settings, process};
use crate::outcome::{Failure, Outcome};
use crate::progress::Progress;
use crate::rate::Rate;
use crate::retry::{Effect, Retry};
use crate::window::Window;

/// In which order items are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Up to `max_concurrent` at once.
    #[default]
    Parallel,
    /// One after another.
    Sequential,
    /// Up to `max_concurrent` at once, and no more often than `rate`; repetitions count.
    RateLimited,
    /// `batch_size` of them, and the next ones when all of those have ended.
    Chunked,
    /// As many at once as come back without waiting for each other, up to `max_concurrent`.
    Adaptive,
}

/// In which order outcomes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they end.
    #[default]
    Ended,
    /// As the items came. What ended early is kept: up to `batch_size` outcomes, or
    /// `max_concurrent` where that is more.
    Items,
}

/// How items are worked off.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchConfig {
    /// Items of a chunk, and outcomes that are kept for order. Default 50; 0 counts as 1.
    pub batch_size: usize,
    /// Items under way at once. Default 10; 0 counts as 1.
    pub max_concurrent: usize,
    /// In which order items are begun. Default [`Strategy::Parallel`].
    pub strategy: Strategy,
    /// In which order outcomes come. Default [`Order::Ended`].
    pub order: Order,
    /// What the work does to the other side. Default [`Effect::Write`], the safe one.
    pub effect: Effect,
    /// How long an attempt may take. Default 30 s.
    pub timeout: Duration,
    /// How long the whole run may take. Default without end.
    pub deadline: Option<Duration>,
    /// How failed attempts are repeated.
    pub retry: Retry,
    /// How often [`Strategy::RateLimited`] begins. Default 10 per second.
    pub rate: Rate,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            batch_size: 50,
            max_concurrent: 10,
            strategy: Strategy::default(),
            order: Order::default(),
            effect: Effect::default(),
            timeout: Duration::from_secs(30),
            deadline: None,
            retry: Retry::default(),
            rate: Rate::per_second(10),
        }
    }
}

/// Works off items.
#[derive(Debug, Clone)]
pub struct Batch {
    config: BatchConfig,
    clock: Clock,
    api: Option<Api>,
    cancel: CancellationToken,
}

impl Batch {
    /// A batch by itself: no account limits it.
    #[must_use]
    pub fn new(config: BatchConfig, clock: &Clock) -> Self {
        Self { config, clock: clock.clone(), api: None, cancel: CancellationToken::new() }
    }

    /// Makes all calls on an account, within its limits, rates and budget.
    #[must_use]
    pub fn on(self, api: Api) -> Self {
        Self { api: Some(api), ..self }
    }

    /// Ends with the token: no item is taken in and no attempt begun any more. Reads under way are
    /// dropped, writes go on to their end, which their time-out bounds: cut off, they would be
    /// ambiguous.
    #[must_use]
    pub fn cancelled_by(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Works off items as they come, by `work`, which gets a clone of the item for each attempt.
    /// Nothing is done but while the run is polled, and nothing is taken in that there is no room
    /// for: who does not take outcomes stops the source. Dropping the run drops what is under way.
    ///
    /// What is under way keeps its place at the account while nobody polls. Who between two outcomes
    /// awaits another call of the same account, and does not poll the run meanwhile, may wait for a
    /// place that is given back by nobody, for ever. Such a call belongs into the work, or beside the
    /// run, by `join` or `select`; or take the outcomes in first, and call when the run has ended.
    ///
    /// Memory: the items under way, and the outcomes that are kept for order. An item costs three
    /// allocations and no task.
    pub fn run<S, W, F, T, E>(
        &self,
        items: S,
        work: W,
    ) -> Run<impl Stream<Item = Outcome<S::Item, T>> + use<S, W, F, T, E>>
    where
        S: Stream<Item: Clone>,
        W: Fn(S::Item) -> F,
        F: Future<Output = Result<T, E>>,
        E: Into<Failure>,
    {
        let progress = Progress::new(&self.clock);
        let settings = Settings::new(
            &self.config,
            &self.clock,
            self.api.clone(),
            self.cancel.clone(),
            progress.clone(),
        );
        let settings = Arc::new(settings);
        let work = Arc::new(work);
        let stop = settings.clone().stopped();
        let begin = move |index, item| process(settings.clone(), work.clone(), index, item);
        let outcomes = Window::new(items, begin, stop, &self.config, progress.clone());
        Run { outcomes, progress }
    }
}

/// The outcomes of a run, as a stream.
#[derive(Debug)]
#[must_use = "a run does nothing but while it is polled"]
pub struct Run<S> {
    outcomes: S,
    progress: Progress,
}

impl<S> Run<S> {
    /// How far it is, to be watched from wherever.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl<S: Stream + Unpin> Stream for Run<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.outcomes).poll_next(context)
    }
}
