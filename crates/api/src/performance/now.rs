//! What is true at this moment, by subject.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_cache::NamespaceStats;
use jebi_db_optimizer::jobs::Job;
use jebi_db_optimizer::timings;
use jebi_domain::JobState;
use jebi_monitor::{Alert, Level, Monitor, Resolution, Summary};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::api::per_second;
use super::figures::{megabytes, milliseconds, moment};
use crate::jobs::states;
use crate::monitoring::{
    CACHE, CPU, HTTP, L1, L2, MINUTE, Monitoring, POOL_IN_USE, POOL_WAIT_MS, POOL_WAITS, Seen,
};
use crate::state::State;

/// The cache of this process in the last minute. A rate is absent where nothing was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheNow)]
pub(crate) struct CacheBody {
    /// Answers without a load, of all.
    pub(super) hit_rate: Option<f64>,
    requests_last_minute: u64,
    levels: Vec<LevelBody>,
    /// Whether what this process holds may be used.
    l1_is_trusted: bool,
    /// `in use`, `not in use`, or `none` where none is configured.
    #[schema(examples("in use"))]
    redis: &'static str,
    namespaces: Vec<NamespaceBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheLevelNow)]
struct LevelBody {
    /// `l1` in this process, `l2` in Redis.
    #[schema(examples("l1"))]
    level: &'static str,
    /// Of what the level was asked.
    hit_rate: Option<f64>,
    hits_last_minute: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheNamespaceNow)]
struct NamespaceBody {
    #[schema(examples("orders"))]
    namespace: String,
    requests_last_minute: u64,
    hit_rate: Option<f64>,
    l1_hit_rate: Option<f64>,
    /// Of what this process could not answer.
    l2_hit_rate: Option<f64>,
    /// In this process.
    entries: u64,
    size_mb: f64,
}

/// The database as this process uses it.
#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseNow)]
pub(crate) struct DatabaseBody {
    pool: PoolBody,
    /// In the last minute, with all that follow.
    statements_per_second: f64,
    statement_p50_ms: Option<f64>,
    statement_p95_ms: Option<f64>,
    statement_p99_ms: Option<f64>,
    errors_last_minute: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PoolNow)]
struct PoolBody {
    open: u32,
    idle: u32,
    in_use: u32,
    /// As many may be open.
    limit: u32,
    /// Callers for whom none was free.
    waits_last_minute: u64,
    /// What they waited, in the mean; absent where none had to.
    mean_wait_ms: Option<f64>,
}

/// What this process takes of its machine.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemNow)]
pub(crate) struct SystemBody {
    /// Of all cores, by this process.
    cpu_share: Option<f64>,
    /// Of all cores, by everything on the machine.
    host_cpu_share: Option<f64>,
    cores: usize,
    rss_mb: Option<f64>,
    host_memory_available_mb: Option<f64>,
    open_files: Option<usize>,
    threads: Option<usize>,
    /// The figures that are not known.
    absent: Vec<AbsentBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AbsentFigure)]
struct AbsentBody {
    #[schema(examples("cpu_share"))]
    figure: &'static str,
    reason: &'static str,
}

/// The jobs of all sellers, by their progress alone.
#[derive(Serialize, ToSchema)]
#[schema(as = JobsNow)]
pub(crate) struct JobsBody {
    /// Those that are alive, at most 50, and the last 20 that ended; the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<JobBody>>,
    /// For how long the oldest item has been due that no worker has taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_age_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_items: Option<u64>,
    /// Why none of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = JobNow)]
struct JobBody {
    id: Uuid,
    #[schema(examples("optimize"))]
    kind: String,
    #[schema(schema_with = states)]
    state: JobState,
    done: u64,
    total: u64,
    failed: u64,
    rate_per_second: Option<f64>,
    eta_seconds: Option<u64>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// Something that somebody was told of.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertBody {
    /// Which rule told it.
    #[schema(examples("slow_endpoint"))]
    rule: String,
    #[schema(examples("GET /api/v1/orders-optimized"))]
    subject: String,
    /// What was measured when it was raised.
    value: f64,
    threshold: f64,
    /// Of both: `ms` or `share`.
    #[schema(examples("ms"))]
    unit: String,
    raised_at: DateTime<Utc>,
    cleared_at: Option<DateTime<Utc>>,
    is_raised: bool,
    cause: String,
    next_step: String,
}

/// The last whole second.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondNow)]
pub(crate) struct SecondBody {
    requests_per_second: f64,
    errors_per_second: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    hit_rate: Option<f64>,
    statements_per_second: f64,
    pool_in_use: Option<f64>,
    cpu_share: Option<f64>,
}

fn level(monitor: &Monitor, name: &str) -> Level {
    monitor.ratio_level(name, MINUTE).unwrap_or_default()
}

impl CacheBody {
    pub(crate) fn of(state: &State) -> Self {
        let monitor = &state.monitoring.monitor;
        let stats = state.caches.all.stats();
        let all = level(monitor, CACHE);
        let together = |prefix| {
            let levels = stats
                .namespaces
                .iter()
                .map(|space| level(monitor, &format!("{prefix}{}", space.name)));
            levels.fold((0.0, 0), |(hits, asked), level| (hits + level.sum, asked + level.count))
        };
        let levels = [("l1", L1), ("l2", L2)].map(|(name, prefix)| {
            let (hits, asked) = together(prefix);
            #[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
            let hit_rate = (asked > 0).then(|| hits / asked as f64);
            LevelBody { level: name, hit_rate, hits_last_minute: whole(hits) }
        });
        Self {
            hit_rate: all.mean(),
            requests_last_minute: all.count,
            levels: levels.into(),
            l1_is_trusted: stats.is_l1_trusted,
            redis: match &stats.l2 {
                None => "none",
                Some(l2) if l2.is_trusted && l2.is_called => "in use",
                Some(_) => "not in use",
            },
            namespaces: stats
                .namespaces
                .iter()
                .map(|space| NamespaceBody::of(monitor, space))
                .collect(),
        }
    }
}

/// A count that was kept as a sum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(sum: f64) -> u64 {
    sum.round() as u64
}

impl NamespaceBody {
    fn of(monitor: &Monitor, space: &NamespaceStats) -> Self {
        let of = |prefix: &str| level(monitor, &format!("{prefix}{}", space.name));
        let all = of(CACHE);
        Self {
            namespace: space.name.clone(),
            requests_last_minute: all.count,
            hit_rate: all.mean(),
            l1_hit_rate: of(L1).mean(),
            l2_hit_rate: of(L2).mean(),
            entries: space.entries,
            size_mb: megabytes(space.bytes),
        }
    }
}

impl DatabaseBody {
    pub(crate) fn of(state: &State) -> Self {
        let monitor = &state.monitoring.monitor;
        let statements = monitor.summary(&format!("{}*", timings::PREFIX), MINUTE);
        let timed = |of: fn(&Summary) -> Duration| {
            statements.as_ref().filter(|all| all.count > 0).map(|all| milliseconds(of(all)))
        };
        let pool = state.db.state();
        Self {
            pool: PoolBody {
                open: pool.open,
                idle: pool.idle,
                in_use: pool.open.saturating_sub(pool.idle),
                limit: pool.most,
                waits_last_minute: level(monitor, POOL_WAITS).count,
                mean_wait_ms: monitor
                    .gauge_level(POOL_WAIT_MS, MINUTE)
                    .and_then(|level| level.mean()),
            },
            statements_per_second: per_second(
                statements.as_ref().map_or(0, |all| all.count),
                MINUTE,
            ),
            statement_p50_ms: timed(|all| all.p50),
            statement_p95_ms: timed(|all| all.p95),
            statement_p99_ms: timed(|all| all.p99),
            errors_last_minute: statements.as_ref().map_or(0, |all| all.errors),
        }
    }
}

impl SystemBody {
    pub(crate) fn of(seen: &Seen) -> Self {
        let system = &seen.system;
        Self {
            cpu_share: system.cpu_share,
            host_cpu_share: system.host_cpu_share,
            cores: system.cores,
            rss_mb: system.rss_bytes.map(megabytes),
            host_memory_available_mb: system.host_available_bytes.map(megabytes),
            open_files: system.open_files,
            threads: system.threads,
            absent: system
                .absent
                .iter()
                .map(|(figure, reason)| AbsentBody { figure, reason })
                .collect(),
        }
    }
}

impl JobsBody {
    pub(crate) fn of(seen: &Seen) -> Self {
        match &seen.queue {
            Err(reason) => Self {
                jobs: None,
                queue_age_seconds: None,
                queued_items: None,
                reason: Some(reason),
            },
            Ok(queue) => Self {
                jobs: Some(queue.jobs.iter().map(JobBody::from).collect()),
                queue_age_seconds: queue.oldest_due.map(|age| age.as_secs_f64()),
                queued_items: Some(queue.open_items),
                reason: None,
            },
        }
    }
}

impl From<&Job> for JobBody {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.as_uuid(),
            kind: job.kind.clone(),
            state: job.state,
            done: job.done,
            total: job.total,
            failed: job.failed,
            rate_per_second: job.rate_per_second(),
            eta_seconds: job.eta_seconds(),
            created_at: job.created_at,
            finished_at: job.finished_at,
        }
    }
}

impl From<Alert> for AlertBody {
    fn from(alert: Alert) -> Self {
        let subject = alert.subject.trim_start_matches(HTTP).trim_start_matches(timings::PREFIX);
        Self {
            subject: subject.trim_end().to_owned(),
            rule: alert.rule,
            value: alert.value,
            threshold: alert.threshold,
            unit: alert.unit,
            raised_at: moment(alert.raised_unix_ms),
            cleared_at: alert.cleared_unix_ms.map(moment),
            is_raised: alert.cleared_unix_ms.is_none(),
            cause: alert.cause,
            next_step: alert.next_step,
        }
    }
}

impl SecondBody {
    pub(crate) fn of(monitoring: &Monitoring) -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        let monitor = &monitoring.monitor;
        let summary =
            |prefix| monitor.latest(&format!("{prefix}*"), Resolution::Second).unwrap_or_default();
        let (requests, statements) = (summary(HTTP), summary(timings::PREFIX));
        let timed = |time| (requests.count > 0).then(|| milliseconds(time));
        let mean = |name| monitor.latest_level(name, Resolution::Second)?.mean();
        Self {
            requests_per_second: per_second(requests.count, SECOND),
            errors_per_second: per_second(requests.errors, SECOND),
            p50_ms: timed(requests.p50),
            p95_ms: timed(requests.p95),
            p99_ms: timed(requests.p99),
            hit_rate: mean(CACHE),
            statements_per_second: per_second(statements.count, SECOND),
            pool_in_use: mean(POOL_IN_USE),
            cpu_share: mean(CPU),
        }
    }
}
