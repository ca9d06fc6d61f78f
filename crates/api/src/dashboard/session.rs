//! Who looks at the dashboard: a cookie that names an operator's key, sealed.

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, ResponseError as _};
use chrono::Utc;
use jebi_db_optimizer::random;

use crate::auth::{Caller, find_digest, last_known};
use crate::problem::Problem;
use crate::state::{Shared, State};

pub(super) const COOKIE: &str = "jebi_session";
/// A working day.
pub(super) const LASTS_SECONDS: u64 = 12 * 60 * 60;

fn now() -> u64 {
    Utc::now().timestamp().cast_unsigned()
}

/// A new session of the key with this digest.
pub(super) fn begin(state: &Shared, digest: [u8; 32]) -> String {
    state.sessions.seal(digest, now() + LASTS_SECONDS, random())
}

/// The digest of the key whose session a request carries, where it has not ended.
pub(super) fn of(state: &Shared, request: &HttpRequest) -> Option<[u8; 32]> {
    state.sessions.open(request.cookie(COOKIE)?.value(), now())
}

/// Lets a request with a session through, and remembers whose key it is.
pub(super) async fn authenticate<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    match caller(&request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(problem) => {
            let response = problem.error_response();
            Ok(request.into_response(response.map_into_right_body()))
        }
    }
}

async fn caller(request: &ServiceRequest) -> Result<Arc<Caller>, Problem> {
    let state = request.app_data::<Data<State>>().ok_or_else(Problem::internal)?;
    let digest = of(state, request.request()).ok_or_else(Problem::unauthorized)?;
    match find_digest(state, digest).await {
        Ok(found) => found.ok_or_else(Problem::unauthorized),
        // A dashboard is looked at most while something is wrong.
        Err(problem) => last_known(state, &digest).ok_or(problem),
    }
}
