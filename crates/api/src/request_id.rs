//! Every request has a name, which is in its answer and in the log.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

tokio::task_local! {
    static CURRENT: String;
}

/// `x-request-id`.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The name of the request under way on this task.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Does work for the request `id` that runs on a task of its own.
pub(crate) async fn within<T>(id: Option<String>, work: impl Future<Output = T>) -> T {
    match id {
        Some(id) => CURRENT.scope(id, work).await,
        None => work.await,
    }
}

/// Names the request, after what its sender calls it where that is fit for a log, and logs its end.
pub(crate) async fn name<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let sent = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let id = match sent {
        Some(sent) if is_fit(sent) => sent.to_owned(),
        _ => URL_SAFE_NO_PAD.encode(jebi_db_optimizer::random::<12>()),
    };
    let value = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"));
    CURRENT
        .scope(id, async move {
            let started = tokio::time::Instant::now();
            let method = request.method().clone();
            if method == Method::HEAD {
                // Answered like GET; the server leaves the body out by itself.
                request.head_mut().method = Method::GET;
            }
            let mut response = next.call(request).await?;
            response.headers_mut().insert(HEADER, value);
            // The pattern, not the path: a path may hold what belongs in no log.
            let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
            tracing::info!(
                request.id = current(),
                http.method = %method,
                http.route = route,
                http.status = response.status().as_u16(),
                duration_ms = started.elapsed().as_secs_f64() * 1000.0,
                "{method} {route} answered {}",
                response.status().as_u16(),
            );
            Ok(response)
        })
        .await
}

fn is_fit(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (8..=64).contains(&id.len()) && id.bytes().all(fits)
}
