use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::{BottleneckBody, TrafficBody};
use super::figures::no_store;
use super::now::{AlertBody, CacheBody, DatabaseBody, SystemBody};
use super::recommend::{RecommendationBody, recommendations};
use super::score::ScoreBody;
use crate::auth::{Operator, PerformanceRead};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// How this process stands: what an operator looks at first.
#[derive(Serialize, ToSchema)]
#[schema(as = PerformanceOverview)]
struct OverviewBody {
    at: DateTime<Utc>,
    #[serde(flatten)]
    score: ScoreBody,
    api: OverviewApiBody,
    database: DatabaseBody,
    cache: CacheBody,
    system: SystemBody,
    /// Those that are raised now, the newest first.
    alerts: Vec<AlertBody>,
    /// Where `include_recommendations` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    recommendations: Option<Vec<RecommendationBody>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OverviewApi)]
struct OverviewApiBody {
    #[serde(flatten)]
    traffic: TrafficBody,
    /// The five that took most of the time of the last 5 minutes.
    bottlenecks: Vec<BottleneckBody>,
}

/// How this process stands: its score, and the figures behind it. All of it is measured; what is not known is absent.
///
/// Statements: 0.
#[utoipa::path(
    path = "/performance/overview",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(("include_recommendations" = Option<bool>, Query, description = "With what to do about the alerts that are raised; true where absent")),
    responses(
        (status = 200, description = "The figures", body = OverviewBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/overview")]
pub(crate) async fn overview_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let with_recommendations = params.take_flag_or("include_recommendations", true);
    params.finish()?;
    let monitoring = &state.monitoring;
    let mut bottlenecks = BottleneckBody::all(&monitoring.monitor);
    bottlenecks.truncate(5);
    let raised = monitoring.alerts().into_iter().filter(|alert| alert.cleared_unix_ms.is_none());
    Ok(no_store(&OverviewBody {
        at: Utc::now(),
        score: ScoreBody::of(monitoring),
        api: OverviewApiBody { traffic: TrafficBody::of(&monitoring.monitor), bottlenecks },
        database: DatabaseBody::of(&state),
        cache: CacheBody::of(&state),
        system: SystemBody::of(&monitoring.seen()),
        alerts: raised.map(AlertBody::from).collect(),
        recommendations: with_recommendations.then(|| recommendations(&state)),
    }))
}
