//! The items under way: taken in while there is room, given out as they end.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _};

use crate::adaptive::Adaptive;
use crate::batch::{BatchConfig, Order, Strategy};
use crate::item::Ended;
use crate::outcome::{Class, Outcome, Verdict};
use crate::progress::{End, Progress, count};

pub(crate) struct Window<S: Stream, B, F, T> {
    /// Gone when no more is taken in.
    source: Option<Pin<Box<S>>>,
    begin: B,
    running: FuturesUnordered<F>,
    /// Ends when no more is to be taken in.
    stop: BoxFuture<'static, End>,
    limit: Limit,
    /// Outcomes that wait for those before them; `None` where they do not.
    held: Option<BTreeMap<u64, Outcome<S::Item, T>>>,
    batch_size: usize,
    taken: u64,
    given: u64,
    progress: Progress,
}

/// How many may be under way.
enum Limit {
    Fixed(usize),
    /// As many, but no new ones before a chunk has ended: how many of it were taken.
    Chunk(usize, usize),
    Adaptive(Adaptive),
}

/// Nothing in it is pinned but what is boxed.
impl<S: Stream, B, F, T> Unpin for Window<S, B, F, T> {}

impl<S, B, F, T> Window<S, B, F, T>
where
    S: Stream,
    B: Fn(u64, S::Item) -> F,
    F: Future<Output = Ended<S::Item, T>>,
{
    pub(crate) fn new(
        source: S,
        begin: B,
        stop: BoxFuture<'static, End>,
        config: &BatchConfig,
        progress: Progress,
    ) -> Self {
        let max = config.max_concurrent.max(1);
        let limit = match config.strategy {
            Strategy::Sequential => Limit::Fixed(1),
            Strategy::Parallel | Strategy::RateLimited => Limit::Fixed(max),
            Strategy::Chunked => Limit::Chunk(max, 0),
            Strategy::Adaptive => Limit::Adaptive(Adaptive::new(max)),
        };
        let held = match config.order {
            Order::Ended => None,
            Order::Items => Some(BTreeMap::new()),
        };
        Self {
            source: Some(Box::pin(source)),
            begin,
            running: FuturesUnordered::new(),
            stop,
            limit,
            held,
            batch_size: config.batch_size.max(1),
            taken: 0,
            given: 0,
            progress,
        }
    }

    fn limit(&self) -> usize {
        match &self.limit {
            Limit::Fixed(limit) | Limit::Chunk(limit, _) => *limit,
            Limit::Adaptive(adaptive) => adaptive.limit(),
        }
    }

    fn has_room(&mut self) -> bool {
        let limit = self.limit();
        self.progress.counters().concurrency.store(limit, Relaxed);
        if let Limit::Chunk(_, taken) = &mut self.limit {
            if self.running.is_empty() && *taken >= self.batch_size {
                *taken = 0;
            }
            if *taken >= self.batch_size {
                return false;
            }
        }
        let kept = self.batch_size.max(limit) as u64;
        self.running.len() < limit && (self.held.is_none() || self.taken - self.given < kept)
    }

    fn take_in(&mut self, context: &mut Context<'_>) {
        while self.source.is_some() && self.has_room() {
            let Some(source) = &mut self.source else { return };
            match source.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => {
                    self.running.push((self.begin)(self.taken, item));
                    self.taken += 1;
                    if let Limit::Chunk(_, taken) = &mut self.limit {
                        *taken += 1;
                    }
                    count(&self.progress.counters().taken);
                }
                Poll::Ready(None) => self.close(End::Complete),
                Poll::Pending => return,
            }
        }
    }

    fn close(&mut self, end: End) {
        self.source = None;
        self.progress.counters().ended(end);
    }

    /// Counts an outcome, and keeps it where those before it are missing.
    fn note(&mut self, ended: Ended<S::Item, T>) -> Option<Outcome<S::Item, T>> {
        let Ended { outcome, latency, is_overload } = ended;
        if let Limit::Adaptive(adaptive) = &mut self.limit {
            adaptive.record(latency, is_overload);
        }
        let counters = self.progress.counters();
        match &outcome.result {
            Ok(_) => count(&counters.done),
            Err(error) => {
                count(&counters.failed);
                // What comes after it would end in the same way, and as fast.
                match (error.failure.class, error.verdict) {
                    (Class::Stopped, _) => self.close(End::Stopped),
                    (Class::Paused, Verdict::Later) => self.close(End::Paused),
                    _ => {}
                }
            }
        }
        match &mut self.held {
            Some(held) => {
                held.insert(outcome.index, outcome);
                None
            }
            None => Some(outcome),
        }
    }

    fn next_held(&mut self) -> Option<Outcome<S::Item, T>> {
        let outcome = self.held.as_mut()?.remove(&self.given)?;
        self.given += 1;
        Some(outcome)
    }
}

impl<S, B, F, T> Stream for Window<S, B, F, T>
where
    S: Stream,
    B: Fn(u64, S::Item) -> F,
    F: Future<Output = Ended<S::Item, T>>,
{
    type Item = Outcome<S::Item, T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.source.is_some()
            && let Poll::Ready(end) = this.stop.poll_unpin(context)
        {
            this.close(end);
        }
        loop {
            if let Some(outcome) = this.next_held() {
                return Poll::Ready(Some(outcome));
            }
            this.take_in(context);
            match this.running.poll_next_unpin(context) {
                Poll::Ready(Some(ended)) => {
                    if let Some(outcome) = this.note(ended) {
                        return Poll::Ready(Some(outcome));
                    }
                }
                Poll::Ready(None) if this.source.is_none() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}
