use std::sync::Arc;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use jebi_cache::Load;
use jebi_db_optimizer::orders::{self, HistoryEntry, Order, OrderLine, PurchaseOrder};
use jebi_domain::{
    Address, Currency, Customer, OrderId, OrderStatus, Platform, ProductId, SellerId, Sight,
    Wholesaler,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{OrdersRead, Seller};
use crate::cached::{Key, answer};
use crate::openapi::one_of;
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::Encoded;
use crate::state::State;

/// An order with everything that belongs to it.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderBody {
    id: Uuid,
    #[schema(examples("536365"))]
    order_number: String,
    #[schema(schema_with = platforms)]
    platform: Platform,
    platform_order_id: String,
    #[schema(schema_with = statuses)]
    status: OrderStatus,
    customer: CustomerBody,
    #[schema(schema_with = currencies)]
    currency: Currency,
    /// The sum of the lines.
    items_amount: i64,
    shipping_amount: i64,
    discount_amount: i64,
    /// What the buyer pays: items + shipping − discount.
    total_amount: i64,
    tracking_number: Option<String>,
    memo: Option<String>,
    /// Rises with every change.
    version: i64,
    /// When the buyer ordered.
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    items: Vec<LineBody>,
    /// What was placed with wholesalers for it.
    purchase_orders: Vec<PurchaseOrderBody>,
    /// What happened to it, oldest first.
    history: Vec<HistoryBody>,
}

/// Who ordered. Telephone, e-mail and address are masked for keys without `orders:contact`.
#[derive(Serialize, ToSchema)]
#[schema(as = Customer)]
struct CustomerBody {
    name: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    address: Option<AddressBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Address)]
struct AddressBody {
    postal_code: Option<String>,
    line1: Option<String>,
    line2: Option<String>,
    country: Option<String>,
}

/// A line of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderItem)]
pub(super) struct LineBody {
    product_id: Uuid,
    #[schema(examples("85123A"))]
    sku: String,
    product_name: String,
    quantity: u32,
    /// Of one of them.
    price: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PurchaseOrder)]
struct PurchaseOrderBody {
    id: Uuid,
    #[schema(schema_with = wholesalers)]
    wholesaler: Wholesaler,
    status: String,
    tracking_number: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
struct HistoryBody {
    version: i64,
    #[schema(schema_with = statuses)]
    status: OrderStatus,
    /// Who did it.
    #[schema(examples("import"))]
    actor: String,
    /// What was done.
    reason: String,
    at: DateTime<Utc>,
}

pub(super) fn statuses() -> utoipa::openapi::Schema {
    one_of(OrderStatus::ALL.iter().map(|status| status.as_str()))
}

pub(super) fn platforms() -> utoipa::openapi::Schema {
    one_of(Platform::ALL.iter().map(|platform| platform.as_str()))
}

pub(super) fn currencies() -> utoipa::openapi::Schema {
    one_of(Currency::ALL.iter().map(|currency| currency.as_str()))
}

fn wholesalers() -> utoipa::openapi::Schema {
    one_of(Wholesaler::ALL.iter().map(|wholesaler| wholesaler.as_str()))
}

impl OrderBody {
    fn new(order: &Order, sight: Sight) -> Self {
        Self {
            id: order.id.as_uuid(),
            order_number: order.order_number.clone(),
            platform: order.platform,
            platform_order_id: order.platform_order_id.clone(),
            status: order.status,
            customer: order.customer.clone().seen(sight).into(),
            currency: order.currency,
            items_amount: order.items_amount,
            shipping_amount: order.shipping_amount,
            discount_amount: order.discount_amount,
            total_amount: order.total_amount,
            tracking_number: order.tracking_number.clone(),
            memo: order.memo.clone(),
            version: order.version,
            created_at: order.created_at,
            updated_at: order.updated_at,
            items: order.lines.iter().map(LineBody::from).collect(),
            purchase_orders: order.purchase_orders.iter().map(PurchaseOrderBody::from).collect(),
            history: order.history.iter().map(HistoryBody::from).collect(),
        }
    }
}

impl From<Customer> for CustomerBody {
    fn from(Customer { name, phone, email, address }: Customer) -> Self {
        Self { name, phone, email, address: address.map(AddressBody::from) }
    }
}

impl From<Address> for AddressBody {
    fn from(Address { postal_code, line1, line2, country }: Address) -> Self {
        Self { postal_code, line1, line2, country }
    }
}

impl From<&OrderLine> for LineBody {
    fn from(line: &OrderLine) -> Self {
        Self {
            product_id: ProductId::as_uuid(line.product_id),
            sku: line.sku.clone(),
            product_name: line.product_name.clone(),
            quantity: line.quantity,
            price: line.price,
        }
    }
}

impl From<&PurchaseOrder> for PurchaseOrderBody {
    fn from(placed: &PurchaseOrder) -> Self {
        Self {
            id: placed.id,
            wholesaler: placed.wholesaler,
            status: placed.status.clone(),
            tracking_number: placed.tracking_number.clone(),
            created_at: placed.created_at,
        }
    }
}

impl From<&HistoryEntry> for HistoryBody {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            version: entry.version,
            status: entry.status,
            actor: entry.actor.clone(),
            reason: entry.reason.clone(),
            at: entry.at,
        }
    }
}

/// An order as bytes for one reader, and their tag.
pub(super) fn encoded(seller: SellerId, order: &Order, sight: Sight) -> Result<Encoded, Problem> {
    Encoded::new(seller, &OrderBody::new(order, sight), order.version)
}

pub(super) fn order_id(path: &str) -> Result<OrderId, Problem> {
    path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("order_id"))
}

/// One order, whole.
///
/// Statements: 4, in one snapshot.
#[utoipa::path(
    path = "/orders-optimized/{order_id}",
    tag = "orders",
    security(("api_key" = ["orders:read"])),
    params(
        ("order_id" = Uuid, Path, description = "The order's id"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The order; `ETag` for If-Match and If-None-Match", body = OrderBody),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/orders-optimized/{order_id}")]
pub(crate) async fn find(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    crate::params::Params::of(request.query_string()).finish()?;
    let id = order_id(&path)?;
    let (owner, sight) = (seller.keys.seller(), seller.sight());
    let key = Key::one(owner, Some(sight), id.as_uuid());
    let (state, keys) = (State::clone(&state), Arc::clone(&seller.keys));
    answer(&request, &state.clone().caches.orders_detail, &key, "order", async move |load: Load| {
        load.add_tag(&id.to_string());
        let order = orders::find(&state.db, &keys, id).await?;
        order.map(|order| encoded(owner, &order, sight)).transpose()
    })
    .await
}
