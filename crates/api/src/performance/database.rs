use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::repeats::{Finding, Turns};
use jebi_db_optimizer::watch::{
    self, Advice, Explanations, Index, Known, NoStatistics, Regression, Seen, Slow, SlowStatement,
    Table, Wanted,
};
use jebi_db_optimizer::{PoolState, PoolWaits};
use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{megabytes, no_store};
use crate::auth::{Operator, PerformanceRead};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// How the database does, by its catalogue and its statistics: no values and no rows of anybody.
#[derive(Serialize, ToSchema)]
#[schema(as = DatabasePerformance)]
pub(super) struct DatabaseBody {
    pool: PoolBody,
    /// Tables, the largest first.
    table_sizes: Vec<TableBody>,
    /// Indexes, the largest first; where `include_index_usage` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_usage: Option<Vec<IndexBody>>,
    /// Since when the uses of indexes are counted; absent where that was never reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_usage_since: Option<DateTime<Utc>>,
    /// Statements of this service that take more than 100 ms in the mean or took it once, those that took longest in
    /// all first; where `include_slow_queries` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_queries: Option<Vec<SlowBody>>,
    /// Where slow queries and plan regressions come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement_statistics: Option<StatisticsBody>,
    /// Statements that a request ran again and again, since this process started.
    n_plus_one: Vec<RepeatBody>,
    expected_repeats: TurnsBody,
    /// Statements that read three times the pages that they read before, as this process sees it.
    plan_regressions: Vec<RegressionBody>,
    /// What could be better, each with the figures that say so.
    advice: Vec<AdviceBody>,
}

/// The connections of this process.
#[derive(Serialize, ToSchema)]
#[schema(as = DatabasePool)]
struct PoolBody {
    open: u32,
    idle: u32,
    in_use: u32,
    /// As many may be open.
    limit: u32,
    /// Callers for whom none was free.
    waits: u64,
    waited_ms: f64,
    longest_wait_ms: f64,
    /// Those of them who got none.
    refused: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseTable)]
struct TableBody {
    #[schema(examples("public.orders"))]
    table: String,
    /// An estimate, as PostgreSQL keeps it.
    rows: i64,
    size_mb: f64,
    index_size_mb: f64,
    dead_rows: i64,
    /// Of all its rows.
    #[schema(minimum = 0, maximum = 1)]
    dead_share: f64,
    /// The share of its pages that index-only scans need not read.
    #[schema(minimum = 0, maximum = 1)]
    visible_share: f64,
    /// How often it was read from end to end.
    sequential_scans: i64,
    /// By hand or by itself.
    vacuumed_at: Option<DateTime<Utc>>,
    /// By hand or by itself.
    analyzed_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseIndex)]
struct IndexBody {
    #[schema(examples("public.orders_newest"))]
    index: String,
    #[schema(examples("public.orders"))]
    table: String,
    scans: i64,
    size_mb: f64,
    /// Statements may use it.
    is_valid: bool,
    /// Keeps rows unique, or is otherwise needed where no statement uses it.
    is_needed: bool,
    /// Another index that does the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseSlowQuery)]
struct SlowBody {
    /// As PostgreSQL calls it; a number of 64 bits.
    query_id: String,
    /// Without values.
    statement: String,
    calls: u64,
    mean_ms: f64,
    max_ms: f64,
    total_ms: f64,
    rows: u64,
    buffers_per_call: f64,
    /// What it waited for the disk in all; 0 also where `track_io_timing` is off.
    read_ms: f64,
    /// How PostgreSQL runs it whatever its values, as it was looked up lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// Why there is no plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_plan: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseStatistics)]
struct StatisticsBody {
    available: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    /// Statements of other roles, which this service may not see.
    hidden: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseRepeat)]
struct RepeatBody {
    /// The method and the pattern of the route, or the name of what runs beside requests.
    #[schema(examples("GET /api/v1/orders-optimized/"))]
    endpoint: String,
    /// Without values.
    statement: String,
    /// How often it ran in one request, at most.
    count: u32,
    /// The requests that repeated it.
    requests: u64,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
}

/// Repetitions that the code declares, and that are no findings.
#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseExpectedRepeats)]
struct TurnsBody {
    retries: u64,
    chunks: u64,
    pages: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseRegression)]
struct RegressionBody {
    /// As PostgreSQL calls it; a number of 64 bits.
    query_id: String,
    /// Without values.
    statement: String,
    buffers_per_call_before: f64,
    buffers_per_call_now: f64,
    /// The calls that show it.
    calls: u64,
    since: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DatabaseAdvice)]
struct AdviceBody {
    /// What it is about.
    #[schema(examples("invalid_index"))]
    kind: &'static str,
    /// What was measured.
    evidence: String,
    /// What to do about it.
    action: String,
}

impl DatabaseBody {
    /// What was seen, with what this process knows besides.
    pub(super) fn new(state: &State, seen: &Seen) -> Self {
        let known = Known {
            repeats: state.repeats.findings(),
            // Where none can be had, `statement_statistics` says why.
            regressions: state.plans.regressions().unwrap_or_default(),
            waits: state.db.waits(),
        };
        let slow = seen.slow.as_ref();
        let slow_queries = slow.map(|slow| {
            let statements = slow.as_ref().map_or(&[][..], |slow| &slow.statements);
            let body = |slow| SlowBody::new(slow, &state.explanations);
            statements.iter().map(body).collect()
        });
        let indexes = seen.indexes.as_ref();
        Self {
            pool: PoolBody::new(state.db.state(), known.waits),
            table_sizes: seen.tables.iter().map(TableBody::from).collect(),
            index_usage: indexes.map(|indexes| indexes.all.iter().map(IndexBody::from).collect()),
            index_usage_since: indexes.and_then(|indexes| indexes.since),
            slow_queries,
            statement_statistics: slow.map(StatisticsBody::from),
            n_plus_one: known.repeats.iter().map(RepeatBody::from).collect(),
            expected_repeats: state.repeats.turns().into(),
            plan_regressions: known.regressions.iter().map(RegressionBody::from).collect(),
            advice: watch::advise(seen, &known).into_iter().map(AdviceBody::from).collect(),
        }
    }
}

impl PoolBody {
    fn new(state: PoolState, waits: PoolWaits) -> Self {
        let PoolState { open, idle, most } = state;
        Self {
            open,
            idle,
            in_use: open.saturating_sub(idle),
            limit: most,
            waits: waits.callers,
            waited_ms: waits.total.as_secs_f64() * 1e3,
            longest_wait_ms: waits.longest.as_secs_f64() * 1e3,
            refused: waits.refused,
        }
    }
}

impl From<&Table> for TableBody {
    fn from(table: &Table) -> Self {
        Self {
            table: table.name.clone(),
            rows: table.rows,
            size_mb: megabytes(table.bytes.unsigned_abs()),
            index_size_mb: megabytes(table.index_bytes.unsigned_abs()),
            dead_rows: table.dead_rows,
            dead_share: table.dead_share(),
            visible_share: table.visible_share(),
            sequential_scans: table.sequential_scans,
            vacuumed_at: table.vacuumed_at,
            analyzed_at: table.analyzed_at,
        }
    }
}

impl From<&Index> for IndexBody {
    fn from(index: &Index) -> Self {
        Self {
            index: index.name.clone(),
            table: index.table.clone(),
            scans: index.scans,
            size_mb: megabytes(index.bytes.unsigned_abs()),
            is_valid: index.is_valid,
            is_needed: index.is_needed,
            duplicate_of: index.duplicate_of.clone(),
        }
    }
}

impl SlowBody {
    fn new(slow: &SlowStatement, explanations: &Explanations) -> Self {
        let unknown = || Err("it is looked up within 15 seconds".to_owned());
        let plan = explanations.of(slow.query_id).unwrap_or_else(unknown);
        Self {
            query_id: slow.query_id.to_string(),
            statement: slow.text.clone(),
            calls: slow.calls,
            mean_ms: slow.mean_ms,
            max_ms: slow.max_ms,
            total_ms: slow.total_ms,
            rows: slow.rows,
            buffers_per_call: slow.buffers_per_call,
            read_ms: slow.read_ms,
            no_plan: plan.as_ref().err().cloned(),
            plan: plan.ok(),
        }
    }
}

impl From<&Result<Slow, NoStatistics>> for StatisticsBody {
    fn from(slow: &Result<Slow, NoStatistics>) -> Self {
        let missing = slow.as_ref().err();
        let slow = slow.as_ref().ok();
        Self {
            available: missing.is_none(),
            reason: missing.map(ToString::to_string),
            next_step: missing.map(|missing| missing.next_step()),
            since: slow.and_then(|slow| slow.since),
            hidden: slow.map_or(0, |slow| slow.hidden),
        }
    }
}

impl From<&Finding> for RepeatBody {
    fn from(finding: &Finding) -> Self {
        Self {
            endpoint: finding.work.clone(),
            statement: finding.statement.clone(),
            count: finding.count,
            requests: finding.times,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
        }
    }
}

impl From<Turns> for TurnsBody {
    fn from(Turns { retries, chunks, pages }: Turns) -> Self {
        Self { retries, chunks, pages }
    }
}

impl From<&(Regression, String)> for RegressionBody {
    fn from((found, statement): &(Regression, String)) -> Self {
        Self {
            query_id: found.query_id.to_string(),
            statement: statement.clone(),
            buffers_per_call_before: found.before,
            buffers_per_call_now: found.now,
            calls: found.calls,
            since: found.since,
        }
    }
}

impl From<Advice> for AdviceBody {
    fn from(Advice { kind, evidence, action }: Advice) -> Self {
        Self { kind, evidence, action }
    }
}

/// How the database does: its pool, tables, indexes and slow statements, and what to do about them.
///
/// Statements: 5; 3 without slow queries or without index usage, 1 without both. One less each where
/// `pg_stat_statements` is missing: 4, 2.
#[utoipa::path(
    path = "/performance/database",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(
        ("include_slow_queries" = Option<bool>, Query, description = "With statements that take long; true where absent"),
        ("include_index_usage" = Option<bool>, Query, description = "With indexes and what is advised about them; true where absent"),
    ),
    responses(
        (status = 200, description = "The figures", body = DatabaseBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/database")]
pub(crate) async fn database_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let slow = params.take_flag_or("include_slow_queries", true);
    let indexes = params.take_flag_or("include_index_usage", true);
    params.finish()?;
    let seen = watch::look(&state.db, Wanted { slow, indexes }).await?;
    Ok(no_store(&DatabaseBody::new(&state, &seen)))
}
