//! What is looked at once a second.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::Utc;
use jebi_cache::NamespaceStats;
use jebi_db_optimizer::collection::{self, Trouble};
use jebi_db_optimizer::{Error, Pool, PoolWaits, jobs, timings};
use jebi_domain::Wholesaler;
use jebi_monitor::{Change, Event};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::endpoints::HTTP;
use super::log::Said;
use super::system::Probe;
use super::{Collected, MINUTE, Monitoring};
use crate::problem::causes;
use crate::state::State;

/// The share of answers that the cache gave without a load; followed by a namespace, that of the namespace.
pub(crate) const CACHE: &str = "cache ";
/// The share of questions that this process answered itself.
pub(crate) const L1: &str = "l1 ";
/// The share of what this process could not answer that Redis could.
pub(crate) const L2: &str = "l2 ";
/// Connections that are lent.
pub(crate) const POOL_IN_USE: &str = "pool in use";
/// What callers waited for a connection, in the mean.
pub(crate) const POOL_WAIT_MS: &str = "pool wait ms";
/// Callers who waited, and the share of them who got none.
pub(crate) const POOL_WAITS: &str = "pool waits";
/// The process's share of all CPUs.
pub(crate) const CPU: &str = "cpu share";
/// The share of all CPUs that anything on the machine takes.
pub(super) const HOST_CPU: &str = "host cpu share";
/// The share of looks at which Redis was in use, where one is configured.
pub(super) const REDIS: &str = "redis";
/// For how long the oldest item has been due that nobody does.
pub(super) const QUEUE_AGE_MS: &str = "queue age ms";

/// How old prices are, as a share of what is promised; followed by a wholesaler.
pub(super) const PRICE_AGE: &str = "price age ";
/// The share of accounts whose last collection went well; followed by a wholesaler.
pub(super) const COLLECTED: &str = "collected ";

const EVERY: Duration = Duration::from_secs(1);
/// The queue is looked at by statements, which have so long.
const QUEUE_EVERY: Duration = Duration::from_secs(5);
/// Durations are handed on so often.
const METRICS_EVERY: u32 = 10;
const LOG_EVERY: u32 = 60;

/// Looks at all of it once a second, for ever. Waits for nobody: it goes on whatever is away.
pub(crate) async fn sample(state: State) {
    let monitoring = &state.monitoring;
    let mut rounds = Rounds { probe: Probe::new(), before: Before::default() };
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut clocks = Clocks::default();
    for round in 0_u32.. {
        tick.tick().await;
        rounds.look(&state);
        monitoring.monitor.collect();
        state.live.tell(&state);
        clocks.compare(Instant::now(), SystemTime::now());
        monitoring.judge();
        if round % METRICS_EVERY == 0 {
            state.metrics.hand_on(&monitoring.monitor);
        }
        if round % LOG_EVERY == LOG_EVERY - 1 {
            monitoring.log.say(Said::Minute { figures: minute(monitoring) });
        }
    }
}

/// Looks at the queue of jobs and at the collections every five seconds, by connections that no request waits for.
pub(crate) async fn sample_queue(state: State, watching: Pool) {
    let monitoring = &state.monitoring;
    let mut tick = tokio::time::interval(QUEUE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let queue = seen(jobs::overview(&watching)).await;
        if let Ok(queue) = &queue {
            let age = queue.oldest_due.unwrap_or_default();
            monitoring.monitor.gauge(QUEUE_AGE_MS).set(age.as_secs_f64() * 1e3);
        }
        let collected = seen(look_at_collections(&watching)).await;
        if let Ok(collected) = &collected {
            monitoring.note(collected);
        }
        let mut seen = monitoring.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.queue, seen.collected) = (queue, collected);
    }
}

/// What was looked at, or why it is not known.
async fn seen<T>(look: impl Future<Output = Result<T, Error>>) -> Result<Arc<T>, &'static str> {
    match tokio::time::timeout(QUEUE_EVERY, look).await {
        Ok(Ok(seen)) => Ok(Arc::new(seen)),
        Ok(Err(error)) => {
            tracing::debug!(causes = causes(&error), "not seen: {error}");
            Err("PostgreSQL does not answer")
        }
        Err(_) => Err("PostgreSQL does not answer in time"),
    }
}

async fn look_at_collections(watching: &Pool) -> Result<Collected, Error> {
    let ages = collection::freshness(watching, Utc::now()).await?;
    let troubles = collection::troubles(watching).await?;
    Ok(Collected { ages, troubles })
}

impl Monitoring {
    /// Notes how old prices are, and which collections went wrong, with the reason.
    fn note(&self, collected: &Collected) {
        for &wholesaler in Wholesaler::ALL {
            let of = |trouble: &&Trouble| trouble.wholesaler() == wholesaler.as_str();
            let troubles: Vec<&Trouble> = collected.troubles.iter().filter(of).collect();
            let age = collected.ages.iter().find(|age| age.wholesaler == wholesaler);
            if let Some(promised) = self.promise(wholesaler) {
                // Where there are no accounts any more nothing is old.
                let oldest = age.map_or(Duration::ZERO, |age| age.p99);
                let share = oldest.as_secs_f64() / promised.as_secs_f64();
                self.monitor.gauge(&format!("{PRICE_AGE}{wholesaler}")).set(share);
            }
            // One that never got anything is counted here alone.
            let without = troubles.iter().filter(|trouble| trouble.items() == 0).count() as u64;
            let all = age.map_or(0, |age| age.accounts) + without;
            let troubled = (troubles.len() as u64).min(all);
            let name = format!("{COLLECTED}{wholesaler}");
            match all {
                // The same goes for trouble.
                0 => self.monitor.ratio(&name).add(1, 1),
                all => self.monitor.ratio(&name).add(all - troubled, all),
            }
            let cause = troubles.first().map(|latest| {
                let account = latest.account();
                let others = match troubles.len() - 1 {
                    0 => String::new(),
                    others => format!("; {others} other accounts have trouble too"),
                };
                format!("account {account}: {}{others}", latest.why)
            });
            self.alerter().because("collection_fails", &name, cause);
        }
    }
}

/// What was counted when it was looked last.
#[derive(Default)]
struct Before {
    spaces: Vec<NamespaceStats>,
    waits: PoolWaits,
    refused_names: u64,
}

struct Rounds {
    probe: Probe,
    before: Before,
}

impl Rounds {
    fn look(&mut self, state: &State) {
        let monitor = &state.monitoring.monitor;
        self.look_at_cache(state);
        let (pool, waits) = (state.db.state(), state.db.waits());
        monitor.gauge(POOL_IN_USE).set(f64::from(pool.open.saturating_sub(pool.idle)));
        let callers = waits.callers - self.before.waits.callers;
        if callers > 0 {
            let waited = waits.total.saturating_sub(self.before.waits.total).as_secs_f64() * 1e3;
            monitor.gauge(POOL_WAIT_MS).add(waited, callers);
            monitor.ratio(POOL_WAITS).add(waits.refused - self.before.waits.refused, callers);
        }
        self.before.waits = waits;
        let system = self.probe.look();
        for (name, share) in [(CPU, system.cpu_share), (HOST_CPU, system.host_cpu_share)] {
            if let Some(share) = share {
                monitor.gauge(name).set(share);
            }
        }
        state.monitoring.seen.lock().unwrap_or_else(PoisonError::into_inner).system = system;
        let refused = monitor.stats().operations_refused;
        if self.before.refused_names == 0 && refused > 0 {
            tracing::warn!(
                "More than {} operations are named: the others are counted as one, `other`",
                monitor.operations().len() - 1
            );
        }
        self.before.refused_names = refused;
    }

    fn look_at_cache(&mut self, state: &State) {
        let monitor = &state.monitoring.monitor;
        let now = state.caches.all.counts();
        let (mut hits, mut asked) = (0, 0);
        for (at, space) in now.iter().enumerate() {
            let before = self.before.spaces.get(at);
            let since = |count: fn(&NamespaceStats) -> u64| count(space) - before.map_or(0, count);
            let l1_hits = since(|space| space.l1_hits);
            let (misses, l2_hits) = (since(|space| space.l1_misses), since(|space| space.l2_hits));
            if l1_hits + misses > 0 {
                let (all, name) = (l1_hits + misses, &space.name);
                monitor.ratio(&format!("{CACHE}{name}")).add(l1_hits + l2_hits, all);
                monitor.ratio(&format!("{L1}{name}")).add(l1_hits, all);
                monitor.ratio(&format!("{L2}{name}")).add(l2_hits, misses);
                hits += l1_hits + l2_hits;
                asked += all;
            }
        }
        monitor.ratio(CACHE).add(hits, asked);
        if let Some(l2) = state.caches.all.l2_stats() {
            monitor.ratio(REDIS).add(u64::from(l2.is_trusted && l2.is_called), 1);
        }
        self.before.spaces = now;
    }
}

impl Monitoring {
    /// Judges the rules and tells what has changed.
    fn judge(&self) {
        let events = self.alerter().evaluate(&self.monitor);
        for Event { change, alert } in events {
            let (rule, subject) = (&*alert.rule, &*alert.subject);
            let (value, threshold, unit) = (alert.value, alert.threshold, &*alert.unit);
            match change {
                Change::Raised => tracing::warn!(
                    rule,
                    subject,
                    value,
                    threshold,
                    "{rule}: {subject} is at {value:.3} {unit}, the limit is {threshold} {unit}; \
                     {}; {}",
                    alert.cause,
                    alert.next_step
                ),
                Change::Cleared => tracing::info!(rule, subject, "{rule}: {subject} is good again"),
            }
            self.log.say(Said::Alert(Event { change, alert }));
        }
    }
}

/// The figures of the last minute.
fn minute(monitoring: &Monitoring) -> serde_json::Value {
    let monitor = &monitoring.monitor;
    let requests = monitor.summary(&format!("{HTTP}*"), MINUTE);
    let statements = monitor.summary(&format!("{}*", timings::PREFIX), MINUTE);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let timed = |summary: Option<jebi_monitor::Summary>| {
        summary.filter(|summary| summary.count > 0).map(|summary| {
            json!({
                "count": summary.count,
                "errors": summary.errors,
                "p50_ms": ms(summary.p50),
                "p95_ms": ms(summary.p95),
                "p99_ms": ms(summary.p99),
            })
        })
    };
    json!({
        "requests": timed(requests),
        "statements": timed(statements),
        "hit_rate": monitor.ratio_level(CACHE, MINUTE).and_then(|level| level.mean()),
        "cpu_share": monitor.gauge_level(CPU, MINUTE).and_then(|level| level.mean()),
        "rss_bytes": monitoring.seen().system.rss_bytes,
        "overall_score": monitoring.score().overall,
    })
}

/// The clock that goes on and that of the day, compared.
#[derive(Default)]
struct Clocks {
    before: Option<(Instant, SystemTime)>,
}

impl Clocks {
    /// Tells of a step, and by how much: curves are labelled by the time of the day, nothing is measured by it.
    fn compare(&mut self, now: Instant, day: SystemTime) -> Option<Duration> {
        const STEP: Duration = Duration::from_secs(2);
        let (before, day_before) = self.before.replace((now, day))?;
        let passed = now.saturating_duration_since(before);
        let step = match day.duration_since(day_before) {
            Ok(forward) => forward.abs_diff(passed),
            Err(backward) => backward.duration() + passed,
        };
        if step <= STEP {
            return None;
        }
        let step_seconds = step.as_secs();
        tracing::warn!(
            step_seconds,
            "The clock of the day was set, by {step_seconds} s; durations are measured by another one"
        );
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_clock_is_told_once_in_both_directions() {
        let (now, day) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_hours(9_000));
        let at = |seconds: u64| now + Duration::from_secs(seconds);
        let mut clocks = Clocks::default();
        assert_eq!(clocks.compare(at(0), day), None);
        assert_eq!(clocks.compare(at(1), day + Duration::from_secs(1)), None);
        let forward = day + Duration::from_secs(3_602);
        assert_eq!(clocks.compare(at(2), forward), Some(Duration::from_secs(3_600)));
        assert_eq!(clocks.compare(at(3), forward + Duration::from_secs(1)), None);
        assert_eq!(clocks.compare(at(4), day), Some(Duration::from_secs(3_604)));
    }
}
