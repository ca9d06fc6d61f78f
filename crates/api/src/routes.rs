//! Every URL of the service.
//!
//! A path works with and without its last slash: `NormalizePath` takes it off before it is matched.

use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::problem::Problem;
use crate::{
    accounts, auth, dashboard, health, jobs, openapi, orders, performance, products, telemetry,
};

/// The routes that the OpenAPI document describes.
pub(crate) fn described(config: &mut ServiceConfig<'_>) {
    config.service(health::alive).service(health::ready).service(telemetry::metrics_page).service(
        scope::scope("/api/v1")
            .wrap(from_fn(auth::authenticate))
            .service(orders::list)
            .service(orders::create)
            .service(orders::performance)
            .service(performance::health)
            .service(orders::find)
            .service(orders::update)
            .service(products::list)
            .service(products::bulk_stock)
            .service(products::start_collection)
            .service(products::find)
            .service(products::update)
            .service(performance::overview_figures)
            .service(performance::api_figures)
            .service(performance::real_time_figures)
            .service(performance::wholesaler_figures)
            .service(performance::cache_figures)
            .service(performance::database_figures)
            .service(performance::start_optimization)
            .service(performance::optimization)
            .service(performance::start_benchmark)
            .service(performance::benchmarks)
            .service(performance::benchmark_run)
            .service(accounts::list_accounts)
            .service(accounts::create)
            .service(accounts::update)
            .service(accounts::remove_account)
            .service(accounts::check_account)
            .service(jobs::list)
            .service(jobs::events)
            .service(jobs::find)
            .service(jobs::cancel),
    );
}

/// The routes that describe, and the answer to every path that is none.
pub(crate) fn describing(config: &mut web::ServiceConfig, document: OpenApi) {
    dashboard::routes(config);
    openapi::routes(config, &document);
    config.app_data(Data::new(document)).default_service(web::to(unknown));
}

/// 405 where the path is known with other methods, else 404.
async fn unknown(request: HttpRequest, document: Data<OpenApi>) -> HttpResponse {
    let path = request.path().trim_end_matches('/');
    let known = document.paths.paths.iter().find(|(template, _)| {
        let template = template.trim_end_matches('/');
        template.split('/').count() == path.split('/').count()
            && template
                .split('/')
                .zip(path.split('/'))
                .all(|(known, sent)| known == sent || known.starts_with('{') && !sent.is_empty())
    });
    let problem = match known {
        Some((_, item)) => Problem::method_not_allowed(methods(item).join(", ")),
        None => Problem::not_found("path; all are listed at /api/docs"),
    };
    problem.error_response()
}

/// The methods of a route that the document describes.
pub(crate) fn methods(item: &PathItem) -> Vec<&'static str> {
    let known = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    known.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect()
}
