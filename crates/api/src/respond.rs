//! How a seller's data is answered.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::Author;
use serde::Serialize;

use crate::etag::Tag;
use crate::problem::Problem;
use crate::request_id;

pub(crate) fn encode(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a body could not be encoded");
        Problem::internal()
    })
}

/// A seller's data: theirs alone to keep, and to be asked for again before it is shown again.
pub(crate) fn private(response: &mut HttpResponseBuilder, tag: &Tag) {
    response
        .insert_header((header::ETAG, tag.header()))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::VARY, "authorization, accept-encoding"));
}

/// The body, or 304 where the client has it already.
pub(crate) fn answer(request: &HttpRequest, tag: &Tag, bytes: Vec<u8>) -> HttpResponse {
    let is_known = tag.is_known_to(request);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    private(&mut response, tag);
    if is_known { response.finish() } else { response.content_type("application/json").body(bytes) }
}

/// Who writes now. PostgreSQL keeps microseconds: what is answered now is what is read later.
pub(crate) fn author(actor: String) -> Author {
    let now = Utc::now();
    let at = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
    Author { actor, request_id: request_id::current(), at }
}
