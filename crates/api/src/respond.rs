//! How a seller's data is answered.

use std::cell::RefCell;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::Author;
use jebi_domain::{At, Page, PageSize, Position, SellerId, TotalIs};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use uuid::Uuid;

use crate::etag::{Coding, Tag};
use crate::openapi::one_of;
use crate::problem::Problem;
use crate::request_id;

/// A body as bytes for one reader, and their tag.
pub(crate) struct Encoded {
    pub(crate) tag: Tag,
    pub(crate) bytes: Vec<u8>,
}

impl Encoded {
    /// The body of a list or of sums.
    pub(crate) fn of(seller: SellerId, body: &impl Serialize) -> Result<Self, Problem> {
        let bytes = encode(body)?;
        Ok(Self { tag: Tag::of(seller, &bytes), bytes })
    }

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

/// A page as it was answered, to be answered again with some items changed.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptPage {
    items: Vec<Box<RawValue>>,
    total: Box<RawValue>,
    total_is: Box<RawValue>,
    page: Box<RawValue>,
    page_size: Box<RawValue>,
    pages: Box<RawValue>,
    next_cursor: Box<RawValue>,
}

impl KeptPage {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The ids of the items, in their order.
    pub(crate) fn ids(&self) -> Option<Vec<Uuid>> {
        #[derive(Deserialize)]
        struct Item {
            id: Uuid,
        }
        let id = |item: &RawValue| serde_json::from_str::<Item>(item.get()).map(|item| item.id);
        self.items.iter().map(|item| id(item)).collect::<Result<_, _>>().ok()
    }

    /// Puts `item` in the place of the one of this id.
    pub(crate) fn replace(
        &mut self,
        ids: &[Uuid],
        id: Uuid,
        item: &impl Serialize,
    ) -> Result<(), Problem> {
        let raw = serde_json::value::to_raw_value(item).map_err(not_encoded)?;
        if let Some(at) = ids.iter().position(|known| *known == id) {
            self.items[at] = raw;
        }
        Ok(())
    }
}

/// JSON in exactly its own length: it may be held for long, and what has grown by doubling has room to spare.
pub(crate) fn encode(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    /// Longer ones leave their room behind.
    const MOST: usize = 1 << 20;
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.shrink_to(MOST);
        serde_json::to_writer(&mut *buffer, body).map_err(not_encoded)?;
        Ok(buffer.as_slice().to_vec())
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn not_encoded(error: serde_json::Error) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "a body could not be encoded");
    Problem::internal()
}

/// A seller's data: theirs alone to keep, and to be asked for again before it is shown again.
pub(crate) fn private(response: &mut HttpResponseBuilder, tag: &Tag, coding: Coding) {
    // Values that are there already: what is a text is checked and copied for each answer.
    const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
    const VARIES: HeaderValue = HeaderValue::from_static("authorization, accept-encoding");
    response
        .insert_header((header::ETAG, tag.header(coding)))
        .insert_header((header::CACHE_CONTROL, PRIVATE))
        .insert_header((header::VARY, VARIES));
}

/// What was written, as it is now.
pub(crate) fn written(
    mut response: HttpResponseBuilder,
    Encoded { tag, bytes }: Encoded,
) -> HttpResponse {
    private(&mut response, &tag, Coding::Identity);
    response.content_type("application/json").body(bytes)
}

/// What was read just now: it is not cached, but its client may have it.
pub(crate) fn fresh(request: &HttpRequest, encoded: Encoded) -> HttpResponse {
    if encoded.tag.is_known_to(request.headers()) {
        let mut response = HttpResponse::NotModified();
        private(&mut response, &encoded.tag, Coding::Identity);
        return response.finish();
    }
    written(HttpResponse::Ok(), encoded)
}

/// Who writes now. PostgreSQL keeps microseconds: what is answered now is what is read later.
pub(crate) fn author(actor: String) -> Author {
    let now = Utc::now();
    let at = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
    Author { actor, request_id: request_id::current(), at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jebi_domain::PageNumber;
    use serde_json::json;

    #[test]
    fn a_page_that_is_kept_has_the_fields_of_a_page() {
        let size = PageSize::new(2).expect("2 is between 1 and 100");
        let first = PageNumber::new(1, size).expect("1 is a page");
        let ids = [1, 2].map(Uuid::from_u128);
        let items = ids.map(|id| json!({ "id": id })).to_vec();
        let page = Page { items, total: 2, total_is: TotalIs::Exact, next: None };
        let page = PageBody::new(page, (At::Page(first), size), |item| item, |_| String::new());
        let bytes = serde_json::to_vec(&page).expect("a page has a form");
        let mut kept = KeptPage::read(&bytes).expect("it is a page");
        assert_eq!(serde_json::to_vec(&kept).expect("a page has a form"), bytes);
        assert_eq!(kept.ids().as_deref(), Some(&ids[..]));
        kept.replace(&ids, ids[1], &json!({ "id": 3 })).expect("an item has a form");
        let patched = String::from_utf8(serde_json::to_vec(&kept).expect("a page has a form"));
        assert!(patched.expect("JSON is text").contains(r#"{"id":3}],"total":2"#));
    }
}
