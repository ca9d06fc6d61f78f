//! Carries what was committed to whoever holds copies of it: to Redis, and to this process.
//!
//! One process at a time moves events out of the outbox and reports to Redis those that no writer reported, because
//! it died between its commit and its report. Every process follows the events as well, so that it may trust what
//! it holds while Redis is away, and where there is none.

use std::time::Duration;

use jebi_cache::Propagation;
use jebi_db_optimizer::repeats::{Reason, expected, watch};
use jebi_db_optimizer::{Error, Pool, random, relay};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::problem::causes;
use crate::state::State;

/// How far a process is behind at most, beside the time that a round takes.
const EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Relay {
    state: State,
    /// Connections of its own: while requests wait for one, nobody may have to wait for this. Caches that nobody vouches
    /// for would send even more requests to PostgreSQL.
    db: Pool,
    /// This process among those that may move events.
    mover: Uuid,
    /// The last event that was followed; none before the first round.
    followed: Option<i64>,
}

impl Relay {
    pub(crate) fn new(state: State, db: Pool) -> Self {
        Self { state, db, mover: Uuid::from_bytes(random()), followed: None }
    }

    /// Goes round until it is stopped.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.state.committed.notified() => {}
            }
            let found = self.state.repeats.clone();
            let done = watch(&found, self.round(), |_| "relay".to_owned()).await;
            if let (Err(error), false) = (&done, is_failing) {
                tracing::warn!(causes = causes(error), "events are not followed: {error}");
            }
            is_failing = done.is_err();
        }
    }

    /// Goes round until this process may use both levels of the cache.
    pub(crate) async fn catch_up(&mut self) {
        const AGAIN: Duration = Duration::from_millis(20);
        loop {
            let done = self.round().await;
            let redis = self.state.caches.all.l2_stats();
            if done.is_ok() && redis.is_none_or(|redis| redis.is_trusted) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Moves events where it is this process's turn, follows what was moved, and vouches for it.
    /// Statements: 2; 3 and more where there are events.
    pub(crate) async fn round(&mut self) -> Result<(), Error> {
        let state = self.state.clone();
        let cache = &state.caches.all;
        let moment = cache.moment().await;
        let is_mover = relay::move_events(&self.db, self.mover).await?;
        let news = self.follow().await?;
        if let Some(ago) = news.complete_until {
            // Read after `moment`, so that it is at least as complete as that.
            cache.vouch_for_this_process(moment.earlier(ago));
        }
        if is_mover && self.report(news.announced).await? {
            cache.vouch_for_all(moment).await;
        }
        Ok(())
    }

    /// Follows all that was moved since the last round.
    async fn follow(&mut self) -> Result<relay::News, Error> {
        let caches = &self.state.caches;
        let mut followed = match self.followed {
            Some(followed) => followed,
            None => {
                let last = relay::last(&self.db).await?;
                // What was loaded before may have been changed by what will not be read.
                caches.all.clear_this_process();
                last
            }
        };
        loop {
            let news = expected(Reason::Pages, relay::news(&self.db, followed)).await?;
            if news.is_broken {
                caches.all.clear_this_process();
            }
            caches.hear(&news.events);
            let is_all = news.upto == followed || news.complete_until.is_some();
            followed = news.upto;
            self.followed = Some(followed);
            if is_all {
                return Ok(news);
            }
        }
    }

    /// Reports to Redis what it has not heard of; false where it cannot be reached now.
    async fn report(&self, announced: i64) -> Result<bool, Error> {
        let Some(followed) = self.followed else { return Ok(false) };
        let mut upto = announced;
        while upto < followed {
            let news = expected(Reason::Pages, relay::news(&self.db, upto)).await?;
            let reported = if news.is_broken {
                // They were thrown away before Redis heard of them.
                self.state.caches.all.clear().await.l2
            } else {
                self.state.caches.report(&news.events).await
            };
            if reported == Propagation::Queued {
                return Ok(false);
            }
            upto = news.upto;
            expected(Reason::Pages, relay::announced(&self.db, upto)).await?;
        }
        Ok(true)
    }
}
