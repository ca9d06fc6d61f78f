use chrono::{DateTime, Utc};
use jebi_cache::{NamespaceStats, Stats};
use jebi_db_optimizer::timings;
use jebi_monitor::Alert;
use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{megabytes, moment};
use crate::monitoring::{CACHE, HTTP, LATELY, Monitoring};
use crate::state::State;

/// Something to do, which an alert that is raised is the evidence for: without one nothing is recommended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recommendation)]
pub(crate) struct RecommendationBody {
    #[schema(examples("find_slow_statement"))]
    id: &'static str,
    /// The figure, its threshold, and what else was measured.
    evidence: String,
    /// When the alert was raised.
    since: DateTime<Utc>,
    /// What to do about it.
    action: String,
    /// The command or the setting that does it.
    how: String,
}

/// What the alerts that are raised ask for.
pub(crate) fn recommendations(state: &State) -> Vec<RecommendationBody> {
    let alerts = state.monitoring.alerts();
    let raised = alerts.iter().filter(|alert| alert.cleared_unix_ms.is_none());
    let mut found: Vec<RecommendationBody> =
        raised.filter_map(|one| recommend(state, one)).collect();
    found.sort_by(|one, two| (one.id, one.since).cmp(&(two.id, two.since)));
    found
}

fn recommend(state: &State, alert: &Alert) -> Option<RecommendationBody> {
    let since = moment(alert.raised_unix_ms);
    let subject = alert.subject.trim_start_matches(HTTP).trim_start_matches(timings::PREFIX);
    let figure = figure(alert, subject);
    let evidence = |more: String| format!("{figure}, since {}{more}", since.format("%F %T UTC"));
    let body = |id, more, action: &str, how: String| RecommendationBody {
        id,
        evidence: evidence(more),
        since,
        action: action.to_owned(),
        how,
    };
    let nothing = String::new;
    Some(match &*alert.rule {
        "slow_endpoint" => body(
            "find_slow_statement",
            heaviest_statement(&state.monitoring).map_or_else(nothing, |(name, share)| {
                format!("; {:.0} % of the time of statements goes to {name}", share * 100.0)
            }),
            "find the statement that it waits for, and build the index that it lacks",
            "jebi optimize --dry-run".to_owned(),
        ),
        "slow_query" => body(
            "build_indexes",
            nothing(),
            "let the optimizer look for the index that it lacks, and prove it by running the workload",
            "jebi optimize --dry-run, then jebi optimize".to_owned(),
        ),
        "low_hit_rate" => return of_cache(state, alert, body),
        "pool_wait" => {
            let (pool, waits) = (state.db.state(), state.db.waits());
            let more = format!(
                "; {} of {} connections are open, {} callers have waited and {} got none",
                pool.open, pool.most, waits.callers, waits.refused
            );
            let size = pool.most.saturating_mul(2);
            body(
                "more_connections",
                more,
                "shorten what holds connections; where nothing does, allow more of them",
                format!("jebi optimize --dry-run; then DATABASE_MAX_OVERFLOW={size}"),
            )
        }
        "queue_age" => body(
            "more_workers",
            match &state.monitoring.seen().queue {
                Ok(queue) => format!("; {} items have not ended", queue.open_items),
                Err(_) => String::new(),
            },
            "let more workers work, here or in a process of their own",
            "JEBI_WORKERS, or another `jebi worker`".to_owned(),
        ),
        "many_errors" => body(
            "mend_failures",
            nothing(),
            "see what is not ready, and what the log says of the requests that failed",
            "jebi doctor".to_owned(),
        ),
        "redis_away" => body(
            "mend_redis",
            nothing(),
            "see that Redis answers; until then every process caches for itself",
            "jebi doctor; REDIS_URL".to_owned(),
        ),
        "never_ending" => body(
            "end_what_hangs",
            nothing(),
            "look for what it waits for, and end that",
            "SELECT * FROM pg_stat_activity WHERE state <> 'idle'".to_owned(),
        ),
        _ => return None,
    })
}

/// What was measured, against what.
fn figure(alert: &Alert, subject: &str) -> String {
    let (value, threshold) = (alert.value, alert.threshold);
    match &*alert.unit {
        "share" => format!(
            "{subject}: {:.1} %, the threshold is {:.1} %",
            value * 100.0,
            threshold * 100.0
        ),
        unit => format!("{subject}: {value:.0} {unit}, the threshold is {threshold:.0} {unit}"),
    }
}

/// The statement that took most of the time lately.
fn heaviest_statement(monitoring: &Monitoring) -> Option<(String, f64)> {
    let first = monitoring.monitor.bottlenecks(&format!("{}*", timings::PREFIX), LATELY);
    let first = first.into_iter().next()?;
    Some((first.operation.trim_start_matches(timings::PREFIX).to_owned(), first.share))
}

fn of_cache(
    state: &State,
    alert: &Alert,
    body: impl Fn(&'static str, String, &str, String) -> RecommendationBody,
) -> Option<RecommendationBody> {
    let stats: Stats = state.caches.all.stats();
    let name = alert.subject.strip_prefix(CACHE)?;
    let space = stats.namespaces.iter().find(|space| space.name == name);
    let sum = |of: fn(&NamespaceStats) -> u64| stats.namespaces.iter().map(of).sum::<u64>();
    let (entries, bytes) = (sum(|space| space.entries), sum(|space| space.bytes));
    let (most, most_bytes) = (state.l1.max_entries, state.l1.max_bytes);
    Some(if entries >= most / 10 * 9 {
        body(
            "more_cache_entries",
            format!("; {entries} of {most} entries are in use"),
            "keep more answers in this process",
            format!("JEBI_CACHE_MAX_ENTRIES={}", most * 2),
        )
    } else if bytes >= most_bytes / 10 * 9 {
        body(
            "more_cache_bytes",
            format!("; {:.0} of {:.0} MB are in use", megabytes(bytes), megabytes(most_bytes)),
            "keep more bytes of answers in this process",
            format!("JEBI_CACHE_MAX_BYTES={}", most_bytes * 2),
        )
    } else {
        let (ended, asked) = space.map_or_else(
            || (sum(|one| one.invalidations), sum(|one| one.l1_hits + one.l1_misses)),
            |one| (one.invalidations, one.l1_hits + one.l1_misses),
        );
        body(
            "fewer_invalidations",
            format!("; {ended} invalidations and {asked} questions since the start, and there is room"),
            "write many changes at once: every change ends what shows it; a rate that is low only after a \
             start rises by itself",
            "POST /api/v1/products-optimized/bulk-stock; POST /api/v1/performance/optimize warms up".to_owned(),
        )
    })
}
