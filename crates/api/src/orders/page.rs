use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use jebi_cache::{Load, Previous};
use jebi_db_optimizer::orders::{self, OrderSummary};
use jebi_domain::{
    At, Bounds, Currency, OrderFilter, OrderId, OrderStatus, PageSize, Platform, Search,
    SellerKeys, Sight,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::whole::{LineBody, currencies, platforms, statuses};
use crate::auth::{OrdersRead, Seller};
use crate::cached::{Key, answer};
use crate::etag::hex;
use crate::openapi::word_parameter;
use crate::params::Params;
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::{Encoded, KeptPage, PageBody};
use crate::state::State;

/// An order as a list shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderSummary)]
struct SummaryBody {
    id: Uuid,
    order_number: String,
    #[schema(schema_with = platforms)]
    platform: Platform,
    #[schema(schema_with = statuses)]
    status: OrderStatus,
    customer_name: Option<String>,
    /// Masked for keys without `orders:contact`.
    customer_phone: Option<String>,
    total_amount: i64,
    #[schema(schema_with = currencies)]
    currency: Currency,
    tracking_number: Option<String>,
    /// When the buyer ordered.
    created_at: DateTime<Utc>,
    items_count: usize,
    items: Vec<LineBody>,
}

impl SummaryBody {
    fn new(order: OrderSummary, sight: Sight) -> Self {
        let customer = order.customer.seen(sight);
        Self {
            id: order.id.as_uuid(),
            order_number: order.order_number,
            platform: order.platform,
            status: order.status,
            customer_name: customer.name,
            customer_phone: customer.phone,
            total_amount: order.total_amount,
            currency: order.currency,
            tracking_number: order.tracking_number,
            created_at: order.created_at,
            items_count: order.lines.len(),
            items: order.lines.iter().map(LineBody::from).collect(),
        }
    }
}

word_parameter!(StatusWord, statuses());
word_parameter!(PlatformWord, platforms());

/// What a list was asked for.
struct Wanted {
    filter: OrderFilter,
    at: At,
    size: PageSize,
}

const DEFAULT_SIZE: PageSize = PageSize::new(50).expect("50 is between 1 and 100");

impl Wanted {
    fn read(query: &str, state: &State, seller: &Seller<OrdersRead>) -> Result<Self, Problem> {
        let mut params = Params::of(query);
        let size = params.take_page_size(DEFAULT_SIZE);
        let status = params.take("status", |text| text.parse().map_err(Fault::unreadable));
        let platform = params.take("platform", |text| text.parse().map_err(Fault::unreadable));
        let from = params.take("date_from", instant);
        let to = params.take("date_to", instant);
        let created = Bounds::new(from, to).unwrap_or_else(|| {
            params.faults.add("date_from", Fault::unacceptable("must not be after date_to"));
            Bounds::default()
        });
        let search = params.take("search", |text| Search::new(text).map_err(Fault::unacceptable));
        let filter = OrderFilter { status, platform, created, search };
        let at = params.take_place(&state.cursors, seller.keys.seller(), &filter.canonical(), size);
        params.finish()?;
        Ok(Self { filter, at, size })
    }
}

fn instant(text: &str) -> Result<DateTime<Utc>, Fault> {
    // In a query an unescaped + is a blank, and no client's author remembers that.
    let read = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).map_err(|_| {
        Fault::unreadable("is not an RFC 3339 time with an offset, like 2026-11-23T00:00:00+09:00")
    })?;
    Ok(read.with_timezone(&Utc))
}

/// A page of orders, newest first, with their lines.
///
/// Statements: 2, whatever the page's length and depth.
#[utoipa::path(
    path = "/orders-optimized/",
    tag = "orders",
    security(("api_key" = ["orders:read"])),
    params(
        ("page" = Option<u64>, Query, description = "The number of the page, from 1; not with `cursor`", minimum = 1, example = 1),
        ("page_size" = Option<u64>, Query, description = "Orders on a page; 50 where absent", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of a page with the same filter"),
        ("status" = inline(Option<StatusWord>), Query, description = "Orders of this status only"),
        ("platform" = inline(Option<PlatformWord>), Query, description = "Orders from this platform only"),
        ("date_from" = Option<DateTime<Utc>>, Query, description = "Ordered at this time or later"),
        ("date_to" = Option<DateTime<Utc>>, Query, description = "Ordered before this time"),
        ("search" = Option<String>, Query, description = "An order number or its beginning; a buyer's whole name or telephone, or its last four digits", min_length = 1, max_length = 100),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The page", body = PageBody<SummaryBody>),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/orders-optimized")]
pub(crate) async fn list(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Wanted { filter, at, size } = Wanted::read(request.query_string(), &state, &seller)?;
    let (owner, sight) = (seller.keys.seller(), seller.sight());
    let name = match &filter.search {
        // What is searched for may be a name or a telephone, which no key holds.
        Some(_) => hex(&seller.keys.fingerprint(filter.canonical().as_bytes())),
        None => filter.canonical(),
    };
    let mut key = Key::page(owner, Some(sight), &name, (at, size), 0);
    if filter.search.is_some() {
        key = key.personal();
    }
    let (state, keys) = (State::clone(&state), Arc::clone(&seller.keys));
    answer(&request, &state.clone().caches.orders, &key, "page", async move |load: Load| {
        if let Some(patched) = patched(&state, &keys, &load, sight).await? {
            return Ok(Some(patched));
        }
        let page = orders::page(&state.db, &keys, &filter, at, size).await?;
        page.items.iter().for_each(|order| load.add_tag(&order.id.to_string()));
        let cursor = |next| state.cursors.write(owner, &filter.canonical(), next);
        let show = |order| SummaryBody::new(order, sight);
        Encoded::of(owner, &PageBody::new(page, (at, size), show, cursor)).map(Some)
    })
    .await
}

/// The page that this process holds, with those of its orders read again that were changed, where no change moved an
/// order in or out. Statements: 2, however long the page is; none where there is no such page.
async fn patched(
    state: &State,
    keys: &SellerKeys,
    load: &Load,
    sight: Sight,
) -> Result<Option<Encoded>, Problem> {
    let is_fit = |held: &Previous| held.is_unchanged_but_for_tags() && !held.fresh_for().is_zero();
    let Some(held) = load.previous().filter(is_fit) else { return Ok(None) };
    let Some(mut page) = held.body().and_then(|body| KeptPage::read(&body.bytes)) else {
        return Ok(None);
    };
    let Some(ids) = page.ids() else { return Ok(None) };
    let is_changed = |id: &&Uuid| !held.is_unchanged(&id.to_string());
    let changed: Vec<OrderId> = ids.iter().filter(is_changed).map(|id| (*id).into()).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    let wanted = changed.len();
    let read = orders::some(&state.db, keys, changed).await?;
    if read.len() < wanted {
        return Ok(None);
    }
    for order in read {
        page.replace(&ids, order.id.as_uuid(), &SummaryBody::new(order, sight))?;
    }
    ids.iter().for_each(|id| load.add_tag(&id.to_string()));
    load.set_fresh_for(held.fresh_for());
    load.stay_in_process();
    Encoded::of(keys.seller(), &page).map(Some)
}
