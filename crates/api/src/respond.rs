//! How a seller's data is answered.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::Author;
use jebi_domain::{At, Page, PageSize, Position, SellerId, TotalIs};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use crate::etag::Tag;
use crate::openapi::one_of;
use crate::problem::Problem;
use crate::request_id;

/// A body as bytes for one reader, and their tag.
pub(crate) struct Encoded {
    pub(crate) tag: Tag,
    pub(crate) bytes: Vec<u8>,
}

impl Encoded {
    /// The body of a thing that has come to `version`.
    pub(crate) fn new(
        seller: SellerId,
        body: &impl Serialize,
        version: i64,
    ) -> Result<Self, Problem> {
        let bytes = encode(body)?;
        Ok(Self { tag: Tag::of(seller, &bytes).with_version(version), bytes })
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageBody<T> {
    items: Vec<T>,
    /// The rows that match, on all pages.
    total: u64,
    /// `exact`, `capped` (at least this many) or `estimated`.
    #[schema(schema_with = trust)]
    total_is: TotalIs,
    /// `null` on a page by cursor, which has no number.
    page: Option<u64>,
    page_size: u16,
    pages: u64,
    /// Gives the next page; `null` on the last.
    next_cursor: Option<String>,
}

fn trust() -> Schema {
    one_of(TotalIs::ALL.iter().map(|total_is| total_is.as_str()))
}

impl<T> PageBody<T> {
    /// A page as it is shown: each item by `show`, the way on by `cursor`.
    pub(crate) fn new<Item>(
        page: Page<Item>,
        (at, size): (At, PageSize),
        show: impl FnMut(Item) -> T,
        cursor: impl FnOnce(Position) -> String,
    ) -> Self {
        let Page { items, total, total_is, next } = page;
        Self {
            items: items.into_iter().map(show).collect(),
            total,
            total_is,
            page: match at {
                At::Page(page) => Some(page.number()),
                At::After(_) => None,
            },
            page_size: size.items(),
            pages: size.pages(total),
            next_cursor: next.map(cursor),
        }
    }
}

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

/// A thing as a change has left it.
pub(crate) fn changed(Encoded { tag, bytes }: Encoded) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    private(&mut response, &tag);
    response.content_type("application/json").body(bytes)
}

/// Who writes now. PostgreSQL keeps microseconds: what is answered now is what is read later.
pub(crate) fn author(actor: String) -> Author {
    let now = Utc::now();
    let at = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
    Author { actor, request_id: request_id::current(), at }
}
