use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use jebi_cache::{L2Stats, Latency, NamespaceStats, Stats};
use jebi_monitor::{Level, Monitor, Resolution};
use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{megabytes, moment, no_store, share};
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::CACHE;
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// What the cache of this process has done since it started.
#[derive(Serialize, ToSchema)]
#[schema(as = CachePerformance)]
struct CacheBody {
    /// Answers without a load, of all that were asked for; absent before the first.
    #[schema(minimum = 0, maximum = 1)]
    hit_rate: Option<f64>,
    /// The level in this process.
    l1: L1Body,
    /// The level that processes share.
    l2: L2Body,
    /// By namespace.
    namespace_analysis: BTreeMap<String, NamespaceBody>,
    /// The share of answers without a load in the last ten minutes, in spans of ten seconds, oldest first; spans
    /// without a question are left out.
    trend: Vec<TrendBody>,
    compression: CompressionBody,
    /// What could be better, each with the figures that say so.
    suggestions: Vec<SuggestionBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheL1)]
struct L1Body {
    hits: u64,
    misses: u64,
    /// Whether what it holds may be used: this process has heard from the others in time.
    is_trusted: bool,
    /// Where `include_memory_analysis` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    max_entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_mb: Option<f64>,
    max_size_mb: f64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheL2)]
struct L2Body {
    /// `redis`, or `none` where none is configured.
    #[schema(examples("redis"))]
    kind: &'static str,
    hits: u64,
    misses: u64,
    /// Calls that failed or were not made.
    errors: u64,
    /// Values that were not ours or broken; each was a miss.
    rejected: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<L2StateBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheL2State)]
struct L2StateBody {
    is_trusted: bool,
    /// Whether calls are made: not while Redis keeps failing.
    is_called: bool,
    breaker_openings: u64,
    queued_invalidations: u64,
    /// Messages of other processes that were followed.
    messages: u64,
    /// How often messages were lost, and all that this process held was given up for it.
    gaps: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheNamespace)]
struct NamespaceBody {
    hit_rate: Option<f64>,
    l1_hits: u64,
    l2_hits: u64,
    misses: u64,
    loads: u64,
    load_errors: u64,
    /// Callers who waited for a load that was under way.
    joined_loads: u64,
    refreshing: u64,
    stale: u64,
    /// Values that were changed while they were loaded: answered, and not kept.
    discarded: u64,
    invalidations: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    /// In this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l1_latency: Option<LatencyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l2_latency: Option<LatencyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_latency: Option<LatencyBody>,
}

/// In microseconds; each figure is at most twice the true one.
#[derive(Serialize, ToSchema)]
#[schema(as = CacheLatency)]
struct LatencyBody {
    samples: u64,
    p50_us: f64,
    p99_us: f64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheTrend)]
struct TrendBody {
    /// The end of the span.
    at: DateTime<Utc>,
    hit_rate: Option<f64>,
    requests: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheCompression)]
struct CompressionBody {
    enabled: bool,
    bytes_before: u64,
    bytes_after: u64,
    /// What was saved of what was to be stored; absent where nothing was.
    saved: Option<f64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CacheSuggestion)]
struct SuggestionBody {
    /// What was measured.
    evidence: String,
    /// What to do about it.
    action: String,
}

impl From<Latency> for LatencyBody {
    fn from(Latency { samples, p50, p99, .. }: Latency) -> Self {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Self { samples, p50_us: us(p50), p99_us: us(p99) }
    }
}

impl NamespaceBody {
    fn new(stats: &NamespaceStats, with_memory: bool) -> Self {
        Self {
            hit_rate: stats.hit_rate(),
            l1_hits: stats.l1_hits,
            l2_hits: stats.l2_hits,
            misses: stats.l1_misses.saturating_sub(stats.l2_hits),
            loads: stats.loads,
            load_errors: stats.load_errors,
            joined_loads: stats.joined,
            refreshing: stats.refreshing,
            stale: stats.stale,
            discarded: stats.discarded,
            invalidations: stats.invalidations,
            entries: with_memory.then_some(stats.entries),
            size_mb: with_memory.then(|| megabytes(stats.bytes)),
            l1_latency: stats.l1_latency.map(LatencyBody::from),
            l2_latency: stats.l2_latency.map(LatencyBody::from),
            load_latency: stats.load_latency.map(LatencyBody::from),
        }
    }
}

impl From<&L2Stats> for L2StateBody {
    fn from(stats: &L2Stats) -> Self {
        Self {
            is_trusted: stats.is_trusted,
            is_called: stats.is_called,
            breaker_openings: stats.breaker_openings,
            queued_invalidations: stats.queued_invalidations,
            messages: stats.messages,
            gaps: stats.gaps,
        }
    }
}

/// Sums over all namespaces.
struct Sums {
    l1_hits: u64,
    l1_misses: u64,
    l2_hits: u64,
    entries: u64,
    bytes: u64,
    before: u64,
    after: u64,
}

impl Sums {
    fn of(stats: &Stats) -> Self {
        let sum = |of: fn(&NamespaceStats) -> u64| stats.namespaces.iter().map(of).sum();
        Self {
            l1_hits: sum(|space| space.l1_hits),
            l1_misses: sum(|space| space.l1_misses),
            l2_hits: sum(|space| space.l2_hits),
            entries: sum(|space| space.entries),
            bytes: sum(|space| space.bytes),
            before: sum(|space| space.bytes_before_compression),
            after: sum(|space| space.bytes_after_compression),
        }
    }

    fn hits(&self) -> u64 {
        self.l1_hits + self.l2_hits
    }

    fn asked(&self) -> u64 {
        self.l1_hits + self.l1_misses
    }
}

/// How the hit rate went in the last ten minutes, in spans of ten seconds.
fn trend(monitor: &Monitor) -> Vec<TrendBody> {
    const SPAN_MS: u64 = 10_000;
    const SPANS: u64 = 60;
    let mut spans: BTreeMap<u64, Level> = BTreeMap::new();
    for window in monitor.level_series(CACHE, Resolution::Second).unwrap_or_default() {
        let span = spans.entry(window.began_unix_ms / SPAN_MS).or_default();
        span.count += window.value.count;
        span.sum += window.value.sum;
    }
    // The last one is not over.
    let last = monitor.unix_ms() / SPAN_MS;
    let shown = spans.range(last.saturating_sub(SPANS)..last);
    let body = |(span, level): (&u64, &Level)| TrendBody {
        at: moment((span + 1) * SPAN_MS),
        hit_rate: level.mean(),
        requests: level.count,
    };
    shown.map(body).collect()
}

/// The guide's threshold.
const GOOD_HIT_RATE: f64 = 0.8;
/// Fewer questions say nothing about a rate.
const ENOUGH: u64 = 1_000;

fn suggestions(state: &State, stats: &Stats, sums: &Sums) -> Vec<SuggestionBody> {
    let mut found = Vec::new();
    let mut suggest = |evidence: String, action: &str| {
        found.push(SuggestionBody { evidence, action: action.to_owned() });
    };
    let is_full = sums.entries >= state.l1.max_entries / 10 * 9;
    let is_heavy = sums.bytes >= state.l1.max_bytes / 10 * 9;
    for space in &stats.namespaces {
        let asked = space.l1_hits + space.l1_misses;
        let Some(rate) = space.hit_rate().filter(|rate| *rate < GOOD_HIT_RATE && asked >= ENOUGH)
        else {
            continue;
        };
        let (name, percent) = (&space.name, rate * 100.0);
        let evidence = format!("{name}: {percent:.0} % of {asked} answers came without a load");
        if is_full {
            let evidence = format!(
                "{evidence}, with {} of {} entries in use",
                sums.entries, state.l1.max_entries
            );
            suggest(evidence, "raise JEBI_CACHE_MAX_ENTRIES");
        } else if is_heavy {
            suggest(evidence, "raise JEBI_CACHE_MAX_BYTES");
        } else if space.invalidations > asked / 2 {
            let evidence = format!("{evidence}, with {} invalidations", space.invalidations);
            suggest(evidence, "write less often, or many at once: every change ends what shows it");
        }
    }
    match &stats.l2 {
        None => suggest(
            "no Redis is configured".to_owned(),
            "set REDIS_URL where several processes serve",
        ),
        Some(l2) if !l2.is_called => suggest(
            format!(
                "calls of Redis have been stopped {} times, and are stopped now",
                l2.breaker_openings
            ),
            "see that Redis answers at REDIS_URL",
        ),
        Some(_) => {}
    }
    found
}

/// What the cache does, in figures measured since the process started.
///
/// Statements: 0.
#[utoipa::path(
    path = "/performance/cache",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(("include_memory_analysis" = Option<bool>, Query, description = "With entries and their bytes, for which all of them are looked at; true where absent")),
    responses(
        (status = 200, description = "The figures", body = CacheBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/cache")]
pub(crate) async fn cache_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let with_memory = params.take_flag_or("include_memory_analysis", true);
    params.finish()?;
    let stats = state.caches.all.stats();
    let sums = Sums::of(&stats);
    let sum = |of: fn(&NamespaceStats) -> u64| stats.namespaces.iter().map(of).sum();
    let body = CacheBody {
        hit_rate: share(sums.hits(), sums.asked()),
        l1: L1Body {
            hits: sums.l1_hits,
            misses: sums.l1_misses,
            is_trusted: stats.is_l1_trusted,
            entries: with_memory.then_some(sums.entries),
            max_entries: state.l1.max_entries,
            size_mb: with_memory.then(|| megabytes(sums.bytes)),
            max_size_mb: megabytes(state.l1.max_bytes),
        },
        l2: L2Body {
            kind: if stats.l2.is_some() { "redis" } else { "none" },
            hits: sums.l2_hits,
            misses: sum(|space| space.l2_misses),
            errors: sum(|space| space.l2_errors),
            rejected: sum(|space| space.l2_rejected),
            state: stats.l2.as_ref().map(L2StateBody::from),
        },
        namespace_analysis: stats
            .namespaces
            .iter()
            .map(|space| (space.name.clone(), NamespaceBody::new(space, with_memory)))
            .collect(),
        trend: trend(&state.monitoring.monitor),
        compression: CompressionBody {
            enabled: state.is_compressing,
            bytes_before: sums.before,
            bytes_after: sums.after,
            saved: share(sums.before.saturating_sub(sums.after), sums.before),
        },
        suggestions: suggestions(&state, &stats, &sums),
    };
    Ok(no_store(&body))
}
