//! What is seen of every request: how long it took, which statements it repeated, and its trace.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};
use futures::FutureExt as _;
use jebi_db_optimizer::repeats;
use jebi_monitor::Outcome;
use opentelemetry::trace::FutureExt as _;

use crate::state::State;
use crate::telemetry;

/// Sees a request to its end, under its method and the pattern of its route: a path may hold what belongs in no log.
pub(crate) async fn observe<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let Some(state) = request.app_data::<Data<State>>().cloned() else {
        return next.call(request).await;
    };
    let pattern = request.match_pattern();
    let endpoint = state.monitoring.endpoint(request.method().as_str(), pattern.as_deref());
    request.extensions_mut().insert(Arc::clone(&endpoint));
    let scope = endpoint.operation.scope();
    let name = |_: &Result<_, _>| endpoint.name.clone();
    let trace = state.traces.begin(&request, &endpoint.name);
    let work = repeats::watch(&state.repeats, next.call(request), name);
    let answered = match &trace {
        Some(trace) => work.with_context(trace.clone()).left_future(),
        None => work.right_future(),
    }
    .await;
    let status = status(&answered);
    scope.end(outcome(status));
    if let Some(trace) = &trace {
        telemetry::end(trace, status);
    }
    answered
}

fn status<B>(answered: &Result<ServiceResponse<B>, Error>) -> StatusCode {
    match answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    }
}

fn outcome(status: StatusCode) -> Outcome {
    if status.is_server_error() {
        Outcome::Error
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Ok
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpRequest, HttpResponse, web};
    use jebi_db_optimizer::sellers::find_key;
    use jebi_db_optimizer::testing::{MASTER_KEY, TestDatabase};
    use uuid::Uuid;

    use super::*;
    use crate::cached::{Key, answer};
    use crate::problem::Problem;
    use crate::settings::Settings;

    /// Looks one key after the other up.
    async fn look_up(state: &State, times: u8) -> Result<(), Problem> {
        for n in 0..times {
            find_key(&state.db, [n; 32]).await?;
        }
        Ok(())
    }

    async fn bad(state: Data<State>) -> Result<HttpResponse, Problem> {
        look_up(&state, 20).await?;
        Ok(HttpResponse::Ok().finish())
    }

    async fn good(state: Data<State>) -> Result<HttpResponse, Problem> {
        look_up(&state, 1).await?;
        Ok(HttpResponse::Ok().finish())
    }

    async fn cached(
        request: HttpRequest,
        state: Data<State>,
        times: web::Path<u8>,
    ) -> Result<HttpResponse, Problem> {
        let (times, loading) = (times.into_inner(), state.clone());
        let id = Uuid::from_u128(times.into());
        let load = move |_| async move {
            look_up(&loading, times).await?;
            Ok(None)
        };
        answer(&request, &state.caches.products, &Key::one(id.into(), None, id), "thing", load)
            .await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_that_repeats_a_statement_is_named_by_its_route_also_where_a_load_does() {
        let db = TestDatabase::new().await;
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some(db.url()),
            "JEBI_MASTER_KEY" => Some(MASTER_KEY.to_owned()),
            "JEBI_PERFORMANCE_LOG" => Some("off".to_owned()),
            _ => None,
        };
        let settings = Settings::from_lookup(&lookup).unwrap();
        let state = State::new(
            (db.pool.clone(), db.pool.clone()),
            settings,
            "127.0.0.1:1".parse().unwrap(),
        )
        .unwrap();
        let app = App::new()
            .app_data(Data::new(state.clone()))
            .route("/bad/{id}", web::get().to(bad))
            .route("/good/{id}", web::get().to(good))
            .route("/cached/{times}", web::get().to(cached))
            .wrap(from_fn(observe));
        let service = init_service(app).await;
        let paths =
            ["/bad/sesame", "/good/sesame", "/cached/30", "/cached/1", "/none", "/bad/again"];
        let requests = paths.map(|path| TestRequest::get().uri(path).to_request());
        futures::future::join_all(requests.map(|request| call_service(&service, request))).await;
        // The task of a load ends a moment after the answer.
        while state.repeats.findings().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut found: Vec<(String, u32, u64)> = state
            .repeats
            .findings()
            .into_iter()
            .map(|finding| (finding.work, finding.count, finding.times))
            .collect();
        found.sort();
        let expected =
            [("GET /bad/{id}".to_owned(), 20, 2), ("GET /cached/{times}".to_owned(), 30, 1)];
        assert_eq!(found, expected);
    }
}
