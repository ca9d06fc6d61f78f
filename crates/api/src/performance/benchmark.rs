use std::ops::RangeInclusive;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::jobs::{self, Job};
use jebi_db_optimizer::sellers;
use jebi_domain::{At, JobId, JobState, PageNumber, PageSize, SellerId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::figures::no_store;
use super::started::start;
use crate::auth::{Operator, PerformanceAdmin, PerformanceRead};
use crate::benchmark::{BENCHMARK, Wanted, benchmark_job};
use crate::jobs::{AcceptedBody, states};
use crate::params::{Params, count};
use crate::problem::{Fault, Problem, ProblemBody};
use crate::state::State;

/// What a run may send.
#[derive(Serialize, ToSchema)]
struct BudgetBody {
    concurrent_users: u64,
    test_duration_seconds: u64,
    /// Of all users together, whatever is answered: 2.8 for each.
    requests_per_second: f64,
    /// At most, of the whole run.
    requests: u64,
    /// Whether one request in twenty writes, and for whom.
    write_as: Option<Uuid>,
}

/// A run of requests that this service sent to itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Benchmark)]
struct BenchmarkBody {
    id: Uuid,
    #[schema(schema_with = states)]
    state: JobState,
    budget: Option<BudgetBody>,
    /// Seconds that it has gone on.
    done: u64,
    /// Of so many.
    total: u64,
    /// While it goes on: requests, errors, the p99 and the hit rate so far.
    so_far: Option<Value>,
    /// Once it has ended: requests, errors, percentiles of the latency from when a request was to be sent, the hit rate.
    figures: Option<Value>,
    /// By kind of request.
    kinds: Option<Value>,
    /// Why the figures are not to be trusted; empty where they are.
    doubts: Vec<String>,
    /// The last run before with the same budget, and each figure as a multiple of its.
    compared_with: Option<ComparedBody>,
    /// Why it failed.
    error: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// A run beside one of before.
#[derive(Serialize, ToSchema)]
#[schema(as = BenchmarkCompared)]
struct ComparedBody {
    id: Uuid,
    finished_at: Option<DateTime<Utc>>,
    /// 1 = as before, 2 = twice as much.
    times: Map<String, Value>,
}

/// The runs that are remembered.
#[derive(Serialize, ToSchema)]
#[schema(as = Benchmarks)]
struct BenchmarksBody {
    /// The latest first.
    items: Vec<BenchmarkBody>,
}

/// What a job has kept.
struct Kept {
    job: Job,
    result: Value,
    wanted: Option<Wanted>,
}

impl Kept {
    fn of(job: Job) -> Self {
        let result = job.result.clone().unwrap_or_default();
        let wanted = serde_json::from_value(result["wanted"].clone()).ok();
        Self { job, result, wanted }
    }

    fn figures(&self) -> Option<&Map<String, Value>> {
        self.result["figures"].as_object()
    }

    /// The last one before with the same budget that was done.
    fn before<'a>(&self, all: &'a [Self]) -> Option<&'a Self> {
        all.iter().find(|other| {
            other.job.created_at < self.job.created_at
                && other.result["wanted"] == self.result["wanted"]
                && other.figures().is_some()
                && other.job.failures.is_empty()
        })
    }

    fn body(&self, all: &[Self]) -> BenchmarkBody {
        let Self { job, result, wanted } = self;
        let failure = job.failures.iter().find_map(|failure| failure.reason.clone());
        let part = |name: &str| result.get(name).filter(|part| !part.is_null()).cloned();
        let doubts = serde_json::from_value(result["doubts"].clone()).unwrap_or_default();
        let figures = self.figures();
        let compared = figures.zip(self.before(all)).map(|(figures, before)| ComparedBody {
            id: before.job.id.as_uuid(),
            finished_at: before.job.finished_at,
            times: times(figures, before.figures()),
        });
        BenchmarkBody {
            id: job.id.as_uuid(),
            state: if failure.is_some() { JobState::Failed } else { job.state },
            budget: wanted.map(budget),
            done: job.done,
            total: job.total,
            so_far: part("so_far").filter(|_| job.finished_at.is_none()),
            figures: part("figures"),
            kinds: part("kinds"),
            doubts,
            compared_with: compared,
            error: job.error.clone().or(failure),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

fn within(text: &str, bounds: RangeInclusive<u64>) -> Result<u64, Fault> {
    let number = count(text)?;
    if bounds.contains(&number) {
        return Ok(number);
    }
    Err(Fault::unacceptable(format!("must be from {} to {}", bounds.start(), bounds.end())))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn budget(wanted: Wanted) -> BudgetBody {
    let per_second = wanted.per_second();
    BudgetBody {
        concurrent_users: wanted.users,
        test_duration_seconds: wanted.seconds,
        requests_per_second: per_second,
        requests: (per_second * wanted.seconds as f64) as u64,
        write_as: wanted.write_as.map(SellerId::as_uuid),
    }
}

/// Each figure as a multiple of what it was.
fn times(now: &Map<String, Value>, before: Option<&Map<String, Value>>) -> Map<String, Value> {
    let ratio = |(name, now): (&String, &Value)| {
        let before = before?.get(name)?.as_f64().filter(|before| *before > 0.0)?;
        Some((name.clone(), Value::from(now.as_f64()? / before)))
    };
    now.iter().filter_map(ratio).collect()
}

/// Starts a run of what sellers ask all day, sent by this service to itself and measured, in which each user sends 2.8 requests a
/// second: reads alone, on behalf of the hundred sellers with most orders. One is alive at a time: a repeat answers with that one,
/// whatever it asks for. A run in which one request in twenty fails is broken off.
///
/// Statements: 4; 2 where one is alive; 1 more with `write_as`.
#[utoipa::path(
    path = "/performance/benchmark",
    tag = "performance",
    security(("api_key" = ["performance:admin"])),
    params(
        ("test_duration_seconds" = Option<u64>, Query, description = "How long requests are sent; 60 where absent", minimum = 10, maximum = 300),
        ("concurrent_users" = Option<u64>, Query, description = "Connections, each with one request under way at a time; 10 where absent", minimum = 1, maximum = 100),
        ("write_as" = Option<Uuid>, Query, description = "A seller on whose behalf alone is asked, and whose memos, prices and orders one request in twenty writes: never one with real customers. Nothing is written where absent"),
    ),
    responses(
        (status = 202, description = "It will be done", body = AcceptedBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/performance/benchmark")]
pub(crate) async fn start_benchmark(
    operator: Operator<PerformanceAdmin>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let seconds = params.take("test_duration_seconds", |text| within(text, 10..=300));
    let users = params.take("concurrent_users", |text| within(text, 1..=100));
    let write_as: Option<SellerId> = params
        .take("write_as", |text| text.parse().map_err(|_| Fault::unreadable("is not a UUID")));
    params.finish()?;
    if let Some(seller) = write_as
        && sellers::of(&state.db, seller).await?.is_none()
    {
        return Err(Fault::unacceptable("is no seller").at("write_as"));
    }
    let (seconds, users) = (seconds.unwrap_or(60), users.unwrap_or(10));
    let job = benchmark_job(Wanted { seconds, users, write_as });
    start(&operator, &state, job, "/api/v1/performance/benchmark").await
}

/// How far a run of requests is, and what it measured.
///
/// Statements: 2.
#[utoipa::path(
    path = "/performance/benchmark/{benchmark_id}",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(("benchmark_id" = Uuid, Path, description = "The run's id, as `job_id` of the POST")),
    responses(
        (status = 200, description = "The run", body = BenchmarkBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/benchmark/{benchmark_id}")]
pub(crate) async fn benchmark_run(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id: JobId =
        path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("benchmark_id"))?;
    let job = jobs::find(&state.db, SellerId::INSTALLATION, id).await?;
    let job = job.filter(|job| job.kind == BENCHMARK);
    let kept = Kept::of(job.ok_or_else(|| Problem::not_found("run of requests"))?);
    let all = remembered(&state).await?;
    Ok(no_store(&kept.body(&all)))
}

/// The runs of requests of the last days, as far as they are among the last hundred jobs of the installation.
///
/// Statements: 1.
#[utoipa::path(
    path = "/performance/benchmark",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    responses(
        (status = 200, description = "The runs", body = BenchmarksBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/benchmark")]
pub(crate) async fn benchmarks(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    listed(&state).await
}

/// The same for the dashboard.
#[get("/benchmarks")]
pub(crate) async fn benchmarks_shown(
    _: Operator<PerformanceRead>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    listed(&state).await
}

async fn listed(state: &State) -> Result<HttpResponse, Problem> {
    let all = remembered(state).await?;
    let items = all.iter().map(|kept| kept.body(&all)).collect();
    Ok(no_store(&BenchmarksBody { items }))
}

/// By connections that no request waits for. The latest first.
async fn remembered(state: &State) -> Result<Vec<Kept>, Problem> {
    const SIZE: PageSize = PageSize::new(100).expect("100 is between 1 and 100");
    let first = At::Page(PageNumber::first());
    let page = jobs::page(&state.watching, SellerId::INSTALLATION, first, SIZE).await?;
    Ok(page.items.into_iter().filter(|job| job.kind == BENCHMARK).map(Kept::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_told_as_a_multiple_of_the_one_before() {
        let of = |figures: Value| figures.as_object().cloned().unwrap_or_default();
        let now = of(json!({ "p50_ms": 2.0, "errors": 3, "hit_rate": null, "new": 1.0 }));
        let before = of(json!({ "p50_ms": 4.0, "errors": 0, "hit_rate": 0.5 }));
        assert_eq!(times(&now, Some(&before)), of(json!({ "p50_ms": 0.5 })));
        assert!(times(&now, None).is_empty());
    }
}
