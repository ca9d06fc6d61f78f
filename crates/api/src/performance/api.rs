use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::timings;
use jebi_monitor::{Bottleneck, Monitor, Severity, Summary};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::figures::{milliseconds, no_store};
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::{HTTP, LATELY, MINUTE};
use crate::openapi::one_of;
use crate::params::Params;
use crate::problem::{Fault, Problem, ProblemBody};
use crate::state::State;

/// How this process answers. Percentiles are within 0.8 % of the exact ones.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiPerformance)]
struct ApiBody {
    /// Each method and route that was asked for since the process started.
    endpoints: Vec<EndpointBody>,
    /// What took most of the time of the last 5 minutes, the most first.
    bottleneck_detection: Vec<BottleneckBody>,
    /// The same of statements, by what they do.
    statements: Vec<EndpointBody>,
}

/// What came to an endpoint. Times are from the first look at a request to the head of its answer.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointPerformance)]
pub(crate) struct EndpointBody {
    /// A method and the pattern of a route; `none` for a path that is no route. Of a statement what it does, as in
    /// `SELECT orders`.
    #[schema(examples("GET /api/v1/orders-optimized"))]
    endpoint: String,
    /// Since the process started, with all that follow.
    count: u64,
    /// Answered with 500 or more. Of statements: those that failed.
    errors: u64,
    /// Answered with 400 to 499. Of statements: those that a constraint refused.
    client_errors: u64,
    /// Nobody waited for the end.
    cancelled: u64,
    /// Absent before the first, like the three that follow.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
    /// Under way now.
    in_flight: u64,
    /// For how long the oldest of them has been.
    oldest_ms: Option<f64>,
    /// Absent where nothing came.
    last_minute: Option<MinuteBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EndpointMinute)]
struct MinuteBody {
    count: u64,
    errors: u64,
    requests_per_second: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Where the time of the last 5 minutes went.
#[derive(Serialize, ToSchema)]
#[schema(as = Bottleneck)]
pub(crate) struct BottleneckBody {
    #[schema(examples("GET /api/v1/orders-optimized"))]
    endpoint: String,
    /// `warning` from a p95 of 500 ms on; `critical` from 2 s on, and where a slow one takes half of all time.
    #[schema(schema_with = severities)]
    severity: &'static str,
    /// Seconds, in the mean.
    avg_time: f64,
    total_seconds: f64,
    /// Of the time of all endpoints.
    #[schema(minimum = 0, maximum = 1)]
    share: f64,
    count: u64,
    p95_ms: f64,
}

/// All endpoints together, in the last minute. Percentiles are absent where nothing came.
#[derive(Serialize, ToSchema)]
#[schema(as = Traffic)]
pub(crate) struct TrafficBody {
    requests_per_second: f64,
    /// Answered with 500 or more.
    errors_per_second: f64,
    in_flight: u64,
    requests_last_minute: u64,
    errors_last_minute: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn severities() -> Schema {
    one_of([Severity::Info, Severity::Warning, Severity::Critical].map(word))
}

impl From<Summary> for MinuteBody {
    fn from(summary: Summary) -> Self {
        Self {
            count: summary.count,
            errors: summary.errors,
            requests_per_second: per_second(summary.count, MINUTE),
            p50_ms: milliseconds(summary.p50),
            p95_ms: milliseconds(summary.p95),
            p99_ms: milliseconds(summary.p99),
            max_ms: milliseconds(summary.max),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
pub(super) fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}

impl EndpointBody {
    /// What came to the operations whose names begin with `prefix` and hold `filter`.
    pub(crate) fn all(monitor: &Monitor, prefix: &str, filter: &str) -> Vec<Self> {
        let mut all: Vec<Self> = monitor
            .operations()
            .iter()
            .filter_map(|name| Self::of(monitor, name, name.strip_prefix(prefix)?, filter))
            .collect();
        all.sort_by(|one, two| one.endpoint.cmp(&two.endpoint));
        all
    }

    fn of(monitor: &Monitor, name: &str, shown: &str, filter: &str) -> Option<Self> {
        if !shown.contains(filter) {
            return None;
        }
        let (all, in_flight) = (monitor.since_start(name)?, monitor.in_flight(name)?);
        let last_minute = monitor.summary(name, MINUTE).filter(|summary| summary.count > 0);
        let timed = |time| (all.count > 0).then(|| milliseconds(time));
        (all.count > 0 || in_flight.count > 0).then(|| Self {
            endpoint: shown.to_owned(),
            count: all.count,
            errors: all.errors,
            client_errors: all.refused,
            cancelled: all.cancelled,
            p50_ms: timed(all.p50),
            p95_ms: timed(all.p95),
            p99_ms: timed(all.p99),
            max_ms: timed(all.max),
            in_flight: in_flight.count,
            oldest_ms: in_flight.oldest.map(milliseconds),
            last_minute: last_minute.map(MinuteBody::from),
        })
    }
}

impl BottleneckBody {
    /// The endpoints that took time lately, the most first.
    pub(crate) fn all(monitor: &Monitor) -> Vec<Self> {
        let body = |found: Bottleneck| Self {
            endpoint: found.operation.trim_start_matches(HTTP).to_owned(),
            severity: word(found.severity),
            avg_time: found.summary.mean.as_secs_f64(),
            total_seconds: found.summary.total.as_secs_f64(),
            share: found.share,
            count: found.summary.count,
            p95_ms: milliseconds(found.summary.p95),
        };
        monitor.bottlenecks(&format!("{HTTP}*"), LATELY).into_iter().map(body).collect()
    }
}

impl TrafficBody {
    pub(crate) fn of(monitor: &Monitor) -> Self {
        let all = format!("{HTTP}*");
        let summary = monitor.summary(&all, MINUTE);
        let timed = |of: fn(&Summary) -> Duration| {
            summary.as_ref().filter(|summary| summary.count > 0).map(|all| milliseconds(of(all)))
        };
        let count = |of: fn(&Summary) -> u64| summary.as_ref().map_or(0, of);
        let (requests, errors) = (count(|all| all.count), count(|all| all.errors));
        Self {
            requests_per_second: per_second(requests, MINUTE),
            errors_per_second: per_second(errors, MINUTE),
            in_flight: monitor.in_flight(&all).map_or(0, |flights| flights.count),
            requests_last_minute: requests,
            errors_last_minute: errors,
            p50_ms: timed(|all| all.p50),
            p95_ms: timed(|all| all.p95),
            p99_ms: timed(|all| all.p99),
            max_ms: timed(|all| all.max),
        }
    }
}

/// How this process answers: each endpoint with its percentiles, and where the time goes.
///
/// Statements: 0.
#[utoipa::path(
    path = "/performance/api",
    tag = "performance",
    security(("api_key" = ["performance:read"])),
    params(("endpoint_filter" = Option<String>, Query, description = "Only endpoints whose name holds this")),
    responses(
        (status = 200, description = "The figures", body = ApiBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/performance/api")]
pub(crate) async fn api_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    const LONGEST: usize = 200;
    let mut params = Params::of(request.query_string());
    let filter = params.take("endpoint_filter", |text| match text.chars().count() {
        ..=LONGEST => Ok(text.to_owned()),
        _ => Err(Fault::unacceptable("must have at most 200 characters")),
    });
    params.finish()?;
    let (monitor, filter) = (&state.monitoring.monitor, filter.unwrap_or_default());
    let mut bottlenecks = BottleneckBody::all(monitor);
    bottlenecks.retain(|found| found.endpoint.contains(&filter));
    Ok(no_store(&ApiBody {
        endpoints: EndpointBody::all(monitor, HTTP, &filter),
        bottleneck_detection: bottlenecks,
        statements: EndpointBody::all(monitor, timings::PREFIX, ""),
    }))
}
