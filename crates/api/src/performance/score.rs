use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::figures::no_store;
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::{Monitoring, Status};
use crate::openapi::one_of;
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// How well this process did in the last 5 minutes.
#[derive(Serialize, ToSchema)]
#[schema(as = PerformanceScore)]
pub(crate) struct ScoreBody {
    /// `healthy` from 80 on and without an alert, `unhealthy` below 50, `unknown` where nothing was asked.
    #[schema(schema_with = statuses)]
    status: &'static str,
    /// The mean of its components, of which `api` counts 40, `database` 30, `cache` and `system` 15 each; absent where
    /// none is known. It rises when any of them gets better.
    #[schema(minimum = 0, maximum = 100)]
    overall_score: Option<f64>,
    /// From 0 to 100 each, where it is known. `api`: requests answered within 500 ms and without a failure, of all.
    /// `database`: statements that ended well within 100 ms, of all and of callers without a connection. `cache`: the
    /// hit rate, of 80 %. `system`: what is left of the machine's CPUs, of a fifth, or of its memory, of a tenth.
    component_scores: BTreeMap<&'static str, f64>,
    /// The components that are not known.
    unknown_components: Vec<UnknownBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UnknownComponent)]
struct UnknownBody {
    #[schema(examples("cache"))]
    component: &'static str,
    reason: &'static str,
}

fn statuses() -> Schema {
    one_of(Status::ALL.map(Status::as_str))
}

impl ScoreBody {
    pub(crate) fn of(monitoring: &Monitoring) -> Self {
        let score = monitoring.score();
        let parts = || score.parts.iter().map(|(component, part)| (component.as_str(), part));
        let known = |(name, part): (_, &Result<f64, _>)| part.ok().map(|part| (name, part));
        let unknown = |(component, part): (_, &Result<f64, &'static str>)| {
            part.err().map(|reason| UnknownBody { component, reason })
        };
        Self {
            status: score.status.as_str(),
            overall_score: score.overall,
            component_scores: parts().filter_map(known).collect(),
            unknown_components: parts().filter_map(unknown).collect(),
        }
    }
}

/// How well this process did in the last 5 minutes, in one number and its parts.
///
/// Statements: 0.
#[utoipa::path(
    path = "/orders-optimized/health/performance",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    responses(
        (status = 200, description = "The score", body = ScoreBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/orders-optimized/health/performance")]
pub(crate) async fn health(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    Ok(no_store(&ScoreBody::of(&state.monitoring)))
}
