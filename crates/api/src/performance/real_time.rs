use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::{BottleneckBody, EndpointBody, TrafficBody};
use super::collected::CollectedBody;
use super::figures::no_store;
use super::now::{AlertBody, CacheBody, DatabaseBody, JobsBody, SecondBody, SystemBody};
use super::recommend::{RecommendationBody, recommendations};
use super::score::ScoreBody;
use super::stream::{Feeds, stream};
use super::wholesalers::AccountBody;
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::HTTP;
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::state::State;

/// What is true of this process at this moment.
#[derive(Serialize, ToSchema)]
#[schema(as = RealTime)]
pub(crate) struct LiveBody {
    at: DateTime<Utc>,
    /// Which process this is: where it listens.
    #[schema(examples("127.0.0.1:8080"))]
    instance: String,
    version: &'static str,
    uptime_seconds: u64,
    #[serde(flatten)]
    score: ScoreBody,
    second: SecondBody,
    traffic: TrafficBody,
    endpoints: Vec<EndpointBody>,
    bottlenecks: Vec<BottleneckBody>,
    cache: CacheBody,
    database: DatabaseBody,
    system: SystemBody,
    jobs: JobsBody,
    /// The accounts with wholesalers that this process has called.
    wholesalers: Vec<AccountBody>,
    /// What all processes have collected.
    collected: CollectedBody,
    /// The latest, at most 256, the newest first.
    alerts: Vec<AlertBody>,
    recommendations: Vec<RecommendationBody>,
}

impl LiveBody {
    /// Statements: 0.
    pub(crate) fn of(state: &State) -> Self {
        let (monitoring, now) = (&state.monitoring, Utc::now());
        let (monitor, seen) = (&monitoring.monitor, monitoring.seen());
        Self {
            at: now,
            instance: monitoring.instance.clone(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: monitor.elapsed().as_secs(),
            score: ScoreBody::of(monitoring),
            second: SecondBody::of(monitoring),
            traffic: TrafficBody::of(monitor),
            endpoints: EndpointBody::all(monitor, HTTP, ""),
            bottlenecks: BottleneckBody::all(monitor),
            cache: CacheBody::of(state),
            database: DatabaseBody::of(state),
            system: SystemBody::of(&seen),
            jobs: JobsBody::of(&seen),
            wholesalers: AccountBody::all(state),
            collected: CollectedBody::of(monitoring, &seen),
            alerts: monitoring.alerts().into_iter().map(AlertBody::from).collect(),
            recommendations: recommendations(state),
        }
    }
}

/// What is true of this process at this moment; with `Accept: text/event-stream` an event `live` with the same every
/// second, until the key is revoked or the process ends.
///
/// Statements: 0.
#[utoipa::path(
    path = "/performance/real-time",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    responses(
        (status = 200, description = "The figures, or the stream of them", content(
            (LiveBody = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/real-time")]
pub(crate) async fn real_time_figures(
    operator: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/event-stream")) {
        return stream(&state, &operator, Feeds::Live);
    }
    Ok(no_store(&LiveBody::of(&state)))
}
