//! Every request has a name, which is in its answer and in the log.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::Level;

use crate::cached::is_from_memory;
use crate::monitoring::Endpoint;

tokio::task_local! {
    static CURRENT: String;
}

/// `x-request-id`.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The name of the request under way on this task.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Does what needs no task of its own for the request `id`.
pub(crate) fn during<T>(id: String, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id, work)
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
    let id = of(request.headers());
    CURRENT
        .scope(id.clone(), async move {
            let started = tokio::time::Instant::now();
            let method = request.method().clone();
            if method == Method::HEAD {
                // Answered like GET; the server leaves the body out by itself.
                request.head_mut().method = Method::GET;
            }
            let mut response = next.call(request).await?;
            write(&id, response.headers_mut());
            let endpoint = response.request().extensions().get::<Arc<Endpoint>>().cloned();
            // The pattern, not the path: a path may hold what belongs in no log.
            let route = endpoint.as_deref().map_or("none", Endpoint::route);
            log_end(&id, (&method, route), response.response(), started.elapsed());
            Ok(response)
        })
        .await
}

/// What a request with these headers is called: as its sender does, where that is fit for a log.
pub(crate) fn of(headers: &HeaderMap) -> String {
    match headers.get(HEADER).and_then(|value| value.to_str().ok()) {
        Some(sent) if is_fit(sent) => sent.to_owned(),
        _ => URL_SAFE_NO_PAD.encode(drawn()),
    }
}

const LENGTH: usize = 12;

/// Drawn by many at once: it would be a call of the kernel for each request, which otherwise makes two.
fn drawn() -> [u8; LENGTH] {
    const AT_ONCE: usize = LENGTH * 256;
    thread_local! {
        static LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LEFT.with_borrow_mut(|left| {
        if left.len() < LENGTH {
            left.extend_from_slice(&jebi_db_optimizer::random::<AT_ONCE>());
        }
        let mut drawn = [0; LENGTH];
        drawn.copy_from_slice(&left[left.len() - LENGTH..]);
        left.truncate(left.len() - LENGTH);
        drawn
    })
}

pub(crate) fn write(id: &str, headers: &mut HeaderMap) {
    let value = HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("-"));
    headers.insert(HEADER, value);
}

/// Logs how a request ended: those that were answered from memory, of which there can be a hundred thousand a second and of
/// which there is nothing to tell, where `debug` is asked for.
pub(crate) fn log_end<B>(
    id: &str,
    (method, route): (&Method, &str),
    response: &HttpResponse<B>,
    took: Duration,
) {
    let status = response.status().as_u16();
    macro_rules! log {
        ($level:expr) => {
            tracing::event!(
                $level,
                request.id = id,
                http.method = %method,
                http.route = route,
                http.status = status,
                duration_ms = took.as_secs_f64() * 1000.0,
                "{method} {route} answered {status}",
            )
        };
    }
    if is_from_memory(response.headers()) { log!(Level::DEBUG) } else { log!(Level::INFO) }
}

fn is_fit(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (8..=64).contains(&id.len()) && id.bytes().all(fits)
}
