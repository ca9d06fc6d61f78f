use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::jobs::{self, Job};
use jebi_db_optimizer::optimize::Level;
use jebi_domain::{JobId, JobState, SellerId};
use jebi_work::{OPTIMIZE, optimize_job};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use uuid::Uuid;

use super::figures::no_store;
use super::started::start;
use crate::auth::{Operator, PerformanceAdmin, PerformanceRead};
use crate::jobs::{AcceptedBody, states};
use crate::openapi::{one_of, word_parameter};
use crate::params::Params;
use crate::problem::{Fault, Problem, ProblemBody};
use crate::state::State;

/// A run of the optimizer.
#[derive(Serialize, ToSchema)]
#[schema(as = Optimization)]
struct OptimizationBody {
    id: Uuid,
    #[schema(schema_with = states)]
    state: JobState,
    /// Once it has begun.
    #[schema(schema_with = levels)]
    optimization_level: Option<Level>,
    dry_run: Option<bool>,
    /// Steps that are done.
    done: u64,
    /// Of so many.
    total: u64,
    /// What it does at this moment.
    doing: Option<String>,
    /// Why it failed, in one sentence for each thing that could not be done.
    error: Option<String>,
    /// Once it has ended: each step, what it changed, and what statements read before and after.
    report: Option<Value>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

fn levels() -> Schema {
    one_of(Level::ALL.iter().map(|level| level.as_str()))
}

word_parameter!(LevelWord, levels());

impl From<Job> for OptimizationBody {
    fn from(job: Job) -> Self {
        let result = job.result.clone().unwrap_or_default();
        let failure = job.failures.iter().find_map(|failure| failure.reason.clone());
        let doing = result["doing"].as_str().filter(|_| job.finished_at.is_none());
        Self {
            id: job.id.as_uuid(),
            state: if failure.is_some() { JobState::Failed } else { job.state },
            optimization_level: serde_json::from_value(result["level"].clone()).ok(),
            dry_run: result["is_dry_run"].as_bool(),
            done: job.done,
            total: job.total,
            doing: doing.map(str::to_owned),
            error: job.error.clone().or(failure),
            report: Some(result).filter(|result| result.get("steps").is_some()),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// Starts a run that brings the indexes to what the queries want, and proves by running them that they help. While one is
/// alive a repeat answers with that one, whatever it asks for.
///
/// Statements: 4; 2 where one is alive.
#[utoipa::path(
    path = "/performance/optimize",
    tag = "performance",
    security(("api_key" = ["performance:admin"])),
    params(
        ("optimization_level" = inline(Option<LevelWord>), Query, description = "How much may be spent on writing for the sake of reading; moderate where absent"),
        ("dry_run" = Option<bool>, Query, description = "Changes nothing and reports what would be; false where absent"),
    ),
    responses(
        (status = 202, description = "It will be done", body = AcceptedBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/performance/optimize")]
pub(crate) async fn start_optimization(
    operator: Operator<PerformanceAdmin>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let level = params
        .take("optimization_level", |word| word.parse::<Level>().map_err(Fault::unacceptable));
    let is_dry_run = params.take_flag_or("dry_run", false);
    params.finish()?;
    let job = optimize_job(level.unwrap_or(Level::Moderate), is_dry_run);
    start(&operator, &state, job, "/api/v1/performance/optimize").await
}

/// How far a run of the optimizer is, and what came of it.
///
/// Statements: 1.
#[utoipa::path(
    path = "/performance/optimize/{optimization_id}",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(("optimization_id" = Uuid, Path, description = "The run's id, as `job_id` of the POST")),
    responses(
        (status = 200, description = "The run", body = OptimizationBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/optimize/{optimization_id}")]
pub(crate) async fn optimization(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id: JobId =
        path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("optimization_id"))?;
    let job = jobs::find(&state.db, SellerId::INSTALLATION, id).await?;
    let job = job.filter(|job| job.kind == OPTIMIZE);
    let job = job.ok_or_else(|| Problem::not_found("run of the optimizer"))?;
    Ok(no_store(&OptimizationBody::from(job)))
}
