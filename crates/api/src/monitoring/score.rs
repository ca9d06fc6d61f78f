//! How well the service does, in one number: see `docs/monitoring.md`.

use std::time::Duration;

use jebi_db_optimizer::timings;
use jebi_monitor::{Histogram, Summary};

use super::endpoints::HTTP;
use super::sample::{CACHE, HOST_CPU, POOL_WAITS};
use super::{LATELY, Monitoring, System};

/// A part of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Component {
    /// Requests that were answered within 500 ms and without a failure of ours, as a share of all.
    Api,
    /// Statements that ended within 100 ms and did not fail, as a share of all and of callers who got no connection.
    Database,
    /// The hit rate, as a share of the guide's 80 %.
    Cache,
    /// What is left of the machine: full marks up to 80 % of its CPUs, and from a tenth of its memory on.
    System,
}

impl Component {
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Database, Self::Cache, Self::System];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Database => "database",
            Self::Cache => "cache",
            Self::System => "system",
        }
    }

    /// What it counts beside the others.
    const fn weight(self) -> f64 {
        match self {
            Self::Api => 40.0,
            Self::Database => 30.0,
            Self::Cache | Self::System => 15.0,
        }
    }
}

/// In a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Healthy,
    Degraded,
    Unhealthy,
    Unknown,
}

impl Status {
    pub(crate) const ALL: [Self; 4] =
        [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Unknown];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// The score of the last five minutes, from 0 to 100.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Score {
    pub(crate) status: Status,
    /// The weighted mean of what is known.
    pub(crate) overall: Option<f64>,
    /// Each part, or why it is not known.
    pub(crate) parts: Vec<(Component, Result<f64, &'static str>)>,
}

/// What a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Figures {
    requests: u64,
    /// Those that were answered in time and did not fail.
    good_requests: u64,
    statements: u64,
    good_statements: u64,
    /// Callers who got no connection.
    refused: u64,
    asked: u64,
    hit_rate: f64,
    cpu_share: Option<f64>,
    free_memory_share: Option<f64>,
    alerts: usize,
}

const SLOW_REQUEST: Duration = Duration::from_millis(500);
const SLOW_STATEMENT: Duration = Duration::from_millis(100);
/// The guide's.
const GOOD_HIT_RATE: f64 = 0.8;
/// Fewer questions say nothing about a rate.
const ENOUGH_ASKED: u64 = 100;
const BUSY_CPU: f64 = 0.8;
const LITTLE_MEMORY: f64 = 0.1;
const HEALTHY: f64 = 80.0;
const UNHEALTHY: f64 = 50.0;

impl Monitoring {
    /// How well the service did in the last five minutes.
    pub(crate) fn score(&self) -> Score {
        let monitor = &self.monitor;
        let good = |pattern: &str, limit| {
            let summary = monitor.summary(pattern, LATELY);
            let histogram = monitor.histogram(pattern, LATELY);
            summary.zip(histogram).map_or((0, 0), |(summary, histogram)| {
                (summary.count, within(&summary, &histogram, limit))
            })
        };
        let (requests, good_requests) = good(&format!("{HTTP}*"), SLOW_REQUEST);
        let (statements, good_statements) = good(&format!("{}*", timings::PREFIX), SLOW_STATEMENT);
        let hits = monitor.ratio_level(CACHE, LATELY).unwrap_or_default();
        let waits = monitor.ratio_level(POOL_WAITS, LATELY).unwrap_or_default();
        let busy = monitor.gauge_level(HOST_CPU, LATELY).and_then(|level| level.mean());
        let System { host_available_bytes, host_total_bytes, .. } = self.seen().system;
        #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
        let free = host_available_bytes
            .zip(host_total_bytes)
            .map(|(available, total)| available as f64 / total as f64);
        let raised = |alert: &&jebi_monitor::Alert| alert.cleared_unix_ms.is_none();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, kept as a sum"
        )]
        score(&Figures {
            requests,
            good_requests,
            statements,
            good_statements,
            refused: waits.sum as u64,
            asked: hits.count,
            hit_rate: hits.mean().unwrap_or_default(),
            cpu_share: busy,
            free_memory_share: free,
            alerts: self.alerter().recent().filter(raised).count(),
        })
    }
}

/// How many of them were within the limit and did not fail. Which of the failed were quick is not known: none is counted.
fn within(summary: &Summary, histogram: &Histogram, limit: Duration) -> u64 {
    let bad = (summary.count - histogram.count_within(limit)).max(summary.errors);
    summary.count - bad.min(summary.count)
}

fn score(figures: &Figures) -> Score {
    let parts: Vec<_> =
        Component::ALL.into_iter().map(|component| (component, part(component, figures))).collect();
    let known = || {
        parts
            .iter()
            .filter_map(|(component, part)| part.ok().map(|part| (component.weight(), part)))
    };
    let weight: f64 = known().map(|(weight, _)| weight).sum();
    let sum: f64 = known().map(|(weight, part)| weight * part).sum();
    let overall = (weight > 0.0).then(|| sum / weight);
    // What the machine has left says nothing about a service that nobody asks.
    let is_used = figures.requests > 0 || figures.statements > 0;
    let status = match overall.filter(|_| is_used) {
        None => Status::Unknown,
        Some(score) if score < UNHEALTHY => Status::Unhealthy,
        Some(score) if score < HEALTHY || figures.alerts > 0 => Status::Degraded,
        Some(_) => Status::Healthy,
    };
    Score { status, overall, parts }
}

#[expect(clippy::cast_precision_loss, reason = "shares need no 53 bits")]
fn part(component: Component, figures: &Figures) -> Result<f64, &'static str> {
    let share = |good: u64, all: u64| 100.0 * good as f64 / all as f64;
    match component {
        Component::Api if figures.requests == 0 => Err("no request came in the last 5 minutes"),
        Component::Api => Ok(share(figures.good_requests, figures.requests)),
        Component::Database => match figures.statements + figures.refused {
            0 => Err("no statement was run in the last 5 minutes"),
            all => Ok(share(figures.good_statements, all)),
        },
        Component::Cache if figures.asked < ENOUGH_ASKED => {
            Err("fewer than 100 answers were asked of the cache in the last 5 minutes")
        }
        Component::Cache => Ok(100.0 * (figures.hit_rate / GOOD_HIT_RATE).min(1.0)),
        Component::System => {
            let cpu = figures.cpu_share.map(|busy| (1.0 - busy) / (1.0 - BUSY_CPU));
            let memory = figures.free_memory_share.map(|free| free / LITTLE_MEMORY);
            let scarcest = cpu.into_iter().chain(memory).reduce(f64::min);
            scarcest
                .map(|left| 100.0 * left.clamp(0.0, 1.0))
                .ok_or("this system does not tell what is left of it")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures() -> impl Strategy<Value = Figures> {
        let shares = (0.0..=1.0_f64, 0.0..=1.0_f64, 0.0..=1.0_f64);
        let counts = (1..1_000_u64, 0..1_000_u64, 1..1_000_u64, 0..1_000_u64, 0..100_u64);
        (counts, 100..1_000_u64, shares, 0..3_usize).prop_map(
            |((requests, slow, statements, slow_statements, refused), asked, shares, alerts)| {
                Figures {
                    requests,
                    good_requests: requests.saturating_sub(slow),
                    statements,
                    good_statements: statements.saturating_sub(slow_statements),
                    refused,
                    asked,
                    hit_rate: shares.0,
                    cpu_share: Some(shares.1),
                    free_memory_share: Some(shares.2),
                    alerts,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn it_never_falls_when_something_gets_better(
            before in figures(), by in 0.0..=1.0_f64, more in 0..1_000_u64,
        ) {
            let score = |figures: &Figures| score(figures).overall.unwrap();
            let more = |good: u64, of: u64| (good + more).min(of);
            let better = [
                Figures { good_requests: more(before.good_requests, before.requests), ..before },
                Figures {
                    good_statements: more(before.good_statements, before.statements), ..before
                },
                Figures { refused: before.refused - before.refused.min(1), ..before },
                Figures { hit_rate: (before.hit_rate + by).min(1.0), ..before },
                Figures { cpu_share: before.cpu_share.map(|busy| busy * (1.0 - by)), ..before },
                Figures {
                    free_memory_share: before.free_memory_share.map(|free| (free + by).min(1.0)),
                    ..before
                },
            ];
            prop_assert!((0.0..=100.0).contains(&score(&before)));
            for after in better {
                prop_assert!(score(&after) >= score(&before) - 1e-9, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_left_out_with_its_reason() {
        let nothing = score(&Figures::default());
        assert_eq!((nothing.status, nothing.overall), (Status::Unknown, None));
        assert!(nothing.parts.iter().all(|(_, part)| part.is_err()));
        let one = score(&Figures { requests: 10, good_requests: 6, ..Figures::default() });
        assert_eq!((one.status, one.overall), (Status::Degraded, Some(60.0)));
    }

    #[test]
    fn an_alert_degrades_and_idleness_is_no_health() {
        let good = Figures { requests: 1, good_requests: 1, ..Figures::default() };
        assert_eq!(score(&good).status, Status::Healthy);
        assert_eq!(score(&Figures { alerts: 1, ..good }).status, Status::Degraded);
        let idle = Figures { cpu_share: Some(0.0), ..Figures::default() };
        assert_eq!(score(&idle).status, Status::Unknown);
        let failing = Figures { good_requests: 0, ..good };
        assert_eq!(score(&failing).status, Status::Unhealthy);
    }
}
