use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_batch::{AccountStats, BreakerState, Class};
use jebi_monitor::Summary;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::collected::CollectedBody;
use super::figures::{milliseconds, no_store};
use crate::auth::{Operator, PerformanceRead};
use crate::openapi::one_of;
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// How this process gets on with the wholesalers.
#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerApis)]
struct WholesalersBody {
    /// The accounts that this process has called, by name.
    accounts: Vec<AccountBody>,
    #[serde(flatten)]
    collected: CollectedBody,
}

/// An account as this process calls it. It is named by its kind and its id, not by whose it is.
#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerAccount)]
pub(crate) struct AccountBody {
    #[schema(examples("ownerclan 0199f4c0-0000-7000-8000-000000000000"))]
    account: String,
    pool: PoolBody,
    budget: BudgetBody,
    /// Of the calls of the last minute; absent where there were none.
    latency: Option<LatencyBody>,
    /// Since the process started, with the next two.
    calls: u64,
    /// What was refused without a call: the account was paused, stopped, or had too much waiting.
    refused: u64,
    /// Failed calls by class.
    errors: BTreeMap<&'static str, u64>,
    breaker: BreakerBody,
    /// For how long it is still left alone: the other side asked for it, or too many calls of an hour were wrong.
    paused_for_seconds: Option<f64>,
    /// The same of single APIs, such as `login` after two refused ones.
    paused_apis: BTreeMap<String, f64>,
    /// Too many calls were our own mistakes: it, or one of its APIs, is stopped until somebody releases it.
    is_stopped: bool,
    /// The APIs that are.
    stopped_apis: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerPool)]
struct PoolBody {
    /// Calls under way.
    in_use: usize,
    idle: usize,
    /// As many may be under way.
    limit: usize,
    waiting: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerBudget)]
struct BudgetBody {
    /// Calls that its rates allow at this moment; absent without a rate.
    calls_left: Option<u32>,
    /// The same of APIs that have rates of their own.
    apis: BTreeMap<String, u32>,
    retries_left: u32,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerLatency)]
struct LatencyBody {
    count: u64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WholesalerBreaker)]
struct BreakerBody {
    /// `open` while nothing is called, `half_open` while one call decides.
    #[schema(schema_with = states)]
    state: &'static str,
    /// How often it has opened.
    opened: u64,
}

const CLOSED: &str = "closed";
const OPEN: &str = "open";
const HALF_OPEN: &str = "half_open";

fn states() -> Schema {
    one_of([CLOSED, OPEN, HALF_OPEN])
}

impl From<Summary> for LatencyBody {
    fn from(all: Summary) -> Self {
        Self {
            count: all.count,
            p50_ms: milliseconds(all.p50),
            p95_ms: milliseconds(all.p95),
            p99_ms: milliseconds(all.p99),
            max_ms: milliseconds(all.max),
        }
    }
}

impl From<AccountStats> for AccountBody {
    fn from(stats: AccountStats) -> Self {
        let latency = stats.latency.filter(|all| all.count > 0);
        Self {
            account: stats.name,
            pool: PoolBody {
                in_use: stats.in_use,
                idle: stats.idle,
                limit: stats.limit,
                waiting: stats.waiting,
            },
            budget: BudgetBody {
                calls_left: stats.calls_left,
                apis: stats.api_calls_left.into_iter().collect(),
                retries_left: stats.retries_left,
            },
            latency: latency.map(LatencyBody::from),
            calls: stats.calls,
            refused: stats.refused,
            errors: stats
                .errors
                .into_iter()
                .map(|(class, count)| (Class::name(class), count))
                .collect(),
            breaker: BreakerBody {
                state: match stats.breaker {
                    BreakerState::Closed => CLOSED,
                    BreakerState::Open(_) => OPEN,
                    BreakerState::HalfOpen => HALF_OPEN,
                },
                opened: stats.breaker_opened,
            },
            paused_for_seconds: stats.paused_for.as_ref().map(Duration::as_secs_f64),
            paused_apis: stats
                .paused_apis
                .into_iter()
                .map(|(api, rest)| (api, rest.as_secs_f64()))
                .collect(),
            is_stopped: stats.is_stopped,
            stopped_apis: stats.stopped_apis,
        }
    }
}

impl AccountBody {
    /// Every account that was called.
    pub(crate) fn all(state: &State) -> Vec<Self> {
        state.outside.stats().into_iter().map(Self::from).collect()
    }
}

/// How this process gets on with the wholesalers: calls under way, budgets, latency, errors and breaker of each account. And
/// what all processes have collected: how old prices and stocks are, and which collections went wrong.
///
/// Statements: 0.
#[utoipa::path(
    path = "/performance/wholesaler-apis",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    responses(
        (status = 200, description = "The figures", body = WholesalersBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/wholesaler-apis")]
pub(crate) async fn wholesaler_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let collected = CollectedBody::of(&state.monitoring, &state.monitoring.seen());
    Ok(no_store(&WholesalersBody { accounts: AccountBody::all(&state), collected }))
}
