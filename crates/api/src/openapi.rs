//! The OpenAPI document and the page that shows it.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa::Modify;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Schema};
use utoipa_swagger_ui::SwaggerUi;

/// What the document says besides the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Jebi",
        description = "Orders of Korean marketplaces, for their sellers.\n\n\
            Money is in minor units of the `currency` beside it (KRW has none, GBP has pence). Times are \
            RFC 3339 with an offset. What belongs to another seller is not there: 404.",
        license(name = "MIT", identifier = "MIT"),
    ),
    modifiers(&ApiKey),
    tags(
        (name = "orders", description = "Orders of the key's seller"),
        (name = "products", description = "The catalogue of the key's seller"),
        (name = "jobs", description = "Background work of the key's seller"),
        (name = "performance", description = "What the service measures about itself; operators' keys"),
        (name = "health", description = "For load balancers; no key needed"),
    )
)]
pub(crate) struct Document;

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("jebi_…")
            .description(Some("An API key, from `jebi seller add NAME`"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// The schema of a word that is one of `T`'s, for the fields of bodies and the parameters of lists.
pub(crate) fn one_of(words: impl IntoIterator<Item = &'static str>) -> Schema {
    let text = utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::String)
        .enum_values(Some(words));
    Schema::Object(text.build())
}

/// A name for such a schema in the parameters of a list, which take types only.
macro_rules! word_parameter {
    ($name:ident, $schema:expr) => {
        struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $schema.into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use word_parameter;

/// `/api/openapi.json` and `/api/docs`.
pub(crate) fn routes(config: &mut web::ServiceConfig, document: &OpenApi) {
    let json = document.to_pretty_json().unwrap_or_default();
    config.route(
        "/api/openapi.json",
        web::get().to(move || {
            let json = json.clone();
            async move {
                HttpResponse::Ok()
                    .insert_header((header::CONTENT_TYPE, "application/json"))
                    .body(json)
            }
        }),
    );
    let page = utoipa_swagger_ui::Config::new(["/api/openapi.json"]);
    config.route(
        "/api/docs",
        web::get().to(|| async {
            HttpResponse::Found().insert_header((header::LOCATION, "/api/docs/index.html")).finish()
        }),
    );
    config.service(SwaggerUi::new("/api/docs/{_:.*}").config(page));
}
