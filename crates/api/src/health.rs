//! Whether the service lives, and whether it can serve.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use jebi_db_optimizer::{Error, pending};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::causes;
use crate::state::State;

/// PostgreSQL has this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `alive`.
    #[schema(examples("alive"))]
    status: &'static str,
}

/// Alive: the process answers.
///
/// Statements: 0.
#[utoipa::path(tag = "health", responses((status = 200, description = "Alive", body = Health)))]
#[get("/healthz")]
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "alive" })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not ready`.
    #[schema(examples("ready"))]
    status: &'static str,
    /// What was looked at.
    checks: Vec<Check>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Check {
    /// What was looked at.
    #[schema(examples("postgresql"))]
    name: &'static str,
    /// Whether it is as it should be.
    ok: bool,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Redis makes answers faster for several processes; none of them needs it.
fn redis(state: &State) -> Check {
    let (ok, detail) = match state.caches.all.l2_stats() {
        None => (true, Some("not configured; this process caches for itself".to_owned())),
        Some(l2) if l2.is_trusted => (true, None),
        Some(_) => {
            let advice = "not in use now; this process caches for itself; look at REDIS_URL";
            (false, Some(advice.to_owned()))
        }
    };
    Check { name: "redis", ok, detail }
}

/// Ready: requests can be served; otherwise what is in the way.
///
/// Statements: 1.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready", body = Readiness),
    )
)]
#[get("/readyz")]
pub(crate) async fn ready(state: Data<State>) -> HttpResponse {
    let (ok, detail) = match tokio::time::timeout(PATIENCE, pending(&state.db)).await {
        Ok(Ok(missing)) if missing.is_empty() => (true, None),
        Ok(Ok(missing)) => {
            let missing = missing.join(", ");
            (false, Some(format!("the schema lacks the migrations {missing}; run `jebi migrate`")))
        }
        // Requests wait for each other here, and would on any other process.
        Ok(Err(Error::NoConnection(_))) | Err(_) if state.db.is_exhausted() => {
            (true, Some("every connection is in use; see DATABASE_POOL_SIZE".to_owned()))
        }
        Ok(Err(error)) => {
            tracing::warn!(causes = causes(&error), "not ready: {error}");
            let advice = "PostgreSQL refuses; look at DATABASE_URL and run `jebi migrate`";
            (false, Some(advice.to_owned()))
        }
        Err(_) => (false, Some("PostgreSQL does not answer; look at DATABASE_URL".to_owned())),
    };
    let (status, word) =
        if ok { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let checks = vec![Check { name: "postgresql", ok, detail }, redis(&state)];
    HttpResponse::build(status).json(Readiness { status: word, checks })
}
