//! Sees which endpoints run a statement again and again.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use jebi_db_optimizer::repeats;

use crate::state::State;

/// Counts the statements of a request, by its method and the pattern of its route: a path may hold what belongs
/// in no log.
pub(crate) async fn watch<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let Some(state) = request.app_data::<Data<State>>().cloned() else {
        return next.call(request).await;
    };
    let method = request.method().clone();
    let name = |response: &Result<ServiceResponse<B>, actix_web::Error>| {
        let answered = response.as_ref().ok();
        let route = answered.and_then(|response| response.request().match_pattern());
        format!("{method} {}", route.as_deref().unwrap_or("none"))
    };
    repeats::watch(&state.repeats, next.call(request), name).await
}
