//! `/dashboard`: a page that an operator leaves open. Its files are in `assets/dashboard`, and are in the binary.

mod assets;
mod session;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes, Data, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, body::MessageBody, get, post};
use jebi_domain::{Scope, api_key_digest};

use self::session::LASTS_SECONDS;
use crate::auth::{Operator, PerformanceRead, find_watcher};
use crate::params::Params;
use crate::performance::{Feeds, benchmarks_shown, series_figures, stream};
use crate::problem::Problem;
use crate::state::State;

/// A key is short.
const MOST_BYTES: usize = 4_096;

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The page, its files, and what it is told.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/dashboard")
            .app_data(PayloadConfig::new(MOST_BYTES))
            .wrap(from_fn(guard))
            .service(page)
            .service(login)
            .service(logout)
            .service(assets::asset)
            .service(
                web::scope("/api")
                    .wrap(from_fn(session::authenticate))
                    .service(events)
                    .service(series_figures)
                    .service(benchmarks_shown),
            ),
    );
}

/// What a browser is to keep to, with every answer.
async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The dashboard for who has a session, else the page to log in.
#[get("")]
async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let Some(digest) = session::of(&state, &request) else {
        return login_page(StatusCode::OK, "");
    };
    match find_watcher(&state, digest).await {
        Ok(Some(_)) => html(StatusCode::OK, assets::INDEX.to_owned()),
        Ok(None) => {
            // A key that was revoked opens nothing any more.
            let mut response = login_page(StatusCode::OK, "");
            let ended = cookie(&request, String::new(), time::Duration::ZERO);
            response.add_cookie(&ended).unwrap_or_default();
            response
        }
        Err(_) => login_page(StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    }
}

fn html(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(text)
}

/// The page to log in, with why it did not work.
fn login_page(status: StatusCode, failed: &str) -> HttpResponse {
    let failed = format!("data-failed=\"{failed}\"");
    html(status, assets::LOGIN.replace("data-failed=\"\"", &failed))
}

fn to_dashboard(cookie: Cookie<'_>) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/dashboard"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(cookie)
        .finish()
}

/// Whether a browser says that another site sends this: it would log somebody in or out unasked.
fn is_from_elsewhere(request: &HttpRequest) -> bool {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    !matches!(site, None | Some("same-origin" | "none"))
}

/// A session for an operator's key.
#[post("/login")]
async fn login(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if is_from_elsewhere(&request) {
        return login_page(StatusCode::FORBIDDEN, "");
    }
    let body = String::from_utf8_lossy(&body);
    let mut params = Params::of(&body);
    let key = params.take("key", |key| Ok(key.trim().to_owned())).unwrap_or_default();
    let found = match api_key_digest(&key) {
        Some(digest) => find_watcher(&state, digest).await,
        None => Ok(None),
    };
    let Ok(found) = found else {
        return login_page(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    };
    let Some(caller) = found else {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let address = request.peer_addr().map_or(unknown, |peer| peer.ip());
        return match state.limits.note_wrong_key(address) {
            Ok(()) => login_page(StatusCode::UNAUTHORIZED, "wrong-key"),
            Err(seconds) => {
                let mut response = login_page(StatusCode::TOO_MANY_REQUESTS, "too-many");
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                response
            }
        };
    };
    if !caller.may(Scope::PerformanceRead) {
        return login_page(StatusCode::UNAUTHORIZED, "wrong-scope");
    }
    let lasts = time::Duration::seconds(LASTS_SECONDS.cast_signed());
    to_dashboard(cookie(&request, session::begin(&state, caller.digest), lasts))
}

/// The end of a session, in this browser.
#[post("/logout")]
async fn logout(request: HttpRequest) -> HttpResponse {
    if is_from_elsewhere(&request) {
        return login_page(StatusCode::FORBIDDEN, "");
    }
    to_dashboard(cookie(&request, String::new(), time::Duration::ZERO))
}

/// `Secure` where the browser speaks TLS, as a proxy before us tells.
fn cookie(request: &HttpRequest, value: String, lasts: time::Duration) -> Cookie<'static> {
    Cookie::build(session::COOKIE, value)
        .path("/dashboard")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(request.connection_info().scheme() == "https")
        .max_age(lasts)
        .finish()
}

/// All that is measured, as it changes.
#[get("/stream")]
async fn events(
    operator: Operator<PerformanceRead>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    stream(&state, &operator, Feeds::All)
}
