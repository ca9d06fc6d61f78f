use chrono::{DateTime, Utc};
use jebi_cache::{L1, NamespaceStats, Stats};
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
    /// Of which endpoint, statement or namespace.
    #[schema(examples("GET /api/v1/orders-optimized"))]
    subject: String,
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
        subject: subject.trim_end().to_owned(),
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
            let most = pool.most.saturating_mul(2);
            body(
                "more_connections",
                more,
                "shorten what holds connections; where nothing does, allow more of them",
                format!(
                    "jebi optimize --dry-run; then DATABASE_POOL_SIZE + DATABASE_MAX_OVERFLOW = {most}, \
                     which PostgreSQL's max_connections has to allow"
                ),
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
        "old_prices" => body(
            "follow_more_often",
            nothing(),
            "see which calls fail, and let more accounts be called at once",
            "JEBI_FOLLOW_SCHEDULE, JEBI_COLLECTORS".to_owned(),
        ),
        "collection_fails" => body(
            "mend_collection",
            format!("; {}", alert.cause),
            "see what the wholesaler answers; until then what was known stays as it is",
            "jebi collect, once it is mended".to_owned(),
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
    let stats = state.caches.all.stats();
    let name = alert.subject.strip_prefix(CACHE)?;
    let space = stats.namespaces.iter().find(|space| space.name == name)?;
    let CacheRemedy { id, evidence, action, how } = cache_remedy(state.l1, &stats, space)?;
    Some(body(id, format!("; {evidence}"), action, how))
}

/// What would raise a namespace's hit rate, by what was measured.
pub(super) struct CacheRemedy {
    pub(super) id: &'static str,
    pub(super) evidence: String,
    pub(super) action: &'static str,
    pub(super) how: String,
}

/// What would raise the hit rate of `space`; `None` where no figure says.
pub(super) fn cache_remedy(l1: L1, stats: &Stats, space: &NamespaceStats) -> Option<CacheRemedy> {
    let sum = |of: fn(&NamespaceStats) -> u64| stats.namespaces.iter().map(of).sum::<u64>();
    let (entries, bytes) = (sum(|space| space.entries), sum(|space| space.bytes));
    let asked = space.l1_hits + space.l1_misses;
    if entries >= l1.max_entries / 10 * 9 {
        return Some(CacheRemedy {
            id: "more_cache_entries",
            evidence: format!("{entries} of {} entries are in use", l1.max_entries),
            action: "keep more answers in this process",
            how: format!("JEBI_CACHE_MAX_ENTRIES={}", l1.max_entries.saturating_mul(2)),
        });
    }
    if bytes >= l1.max_bytes / 10 * 9 {
        let (used, most) = (megabytes(bytes), megabytes(l1.max_bytes));
        return Some(CacheRemedy {
            id: "more_cache_bytes",
            evidence: format!("{used:.0} of {most:.0} MB are in use"),
            action: "keep more bytes of answers in this process",
            how: format!("JEBI_CACHE_MAX_BYTES={}", l1.max_bytes.saturating_mul(2)),
        });
    }
    (space.invalidations > asked / 2).then(|| CacheRemedy {
        id: "fewer_invalidations",
        evidence: format!("{} invalidations of {asked} questions", space.invalidations),
        action: "write less often, or many at once: every change ends what shows it",
        how: "POST /api/v1/products-optimized/bulk-stock".to_owned(),
    })
}
