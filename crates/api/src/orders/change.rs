use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, patch};
use jebi_db_optimizer::Transaction;
use jebi_db_optimizer::orders::{self, Change};
use jebi_domain::{OrderId, OrderStatus};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::new::text;
use super::whole::{OrderBody, encoded, order_id, statuses};
use crate::auth::{OrdersWrite, Seller};
use crate::body::{Json, not_null};
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// What is to change; an absent field stays as it is. `null` empties the tracking number and the memo.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderChange, example = json!({ "memo": "부재 시 경비실에 맡겨 주세요" }))]
pub(crate) struct ChangeBody {
    /// The next status; what may follow what is in `docs/orders.md`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = statuses)]
    status: Option<String>,
    /// Where the parcel can be followed.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    tracking_number: Option<Option<String>>,
    /// The seller's note.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    memo: Option<Option<String>>,
}

/// Tells `null`, which was sent, from a field that was not.
fn sent<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

impl ChangeBody {
    fn check(self) -> Result<Change, Problem> {
        let mut faults = Faults::default();
        let status = self.status.and_then(|word| {
            faults.check("status", word.parse::<OrderStatus>().map_err(Fault::unreadable))
        });
        let tracking_number =
            self.tracking_number.map(|number| text::<64>(&mut faults, "tracking_number", number));
        let memo = self.memo.map(|memo| text::<2_000>(&mut faults, "memo", memo));
        faults.finish()?;
        Ok(Change { status, tracking_number, memo })
    }
}

/// Changes an order: its status, its tracking number, the seller's note.
///
/// A status that may not follow the present one is 409. A change that changes nothing is no new version.
/// Statements: 8; 4 where nothing changes.
#[utoipa::path(
    path = "/orders-optimized/{order_id}",
    tag = "orders",
    security(("api_key" = ["orders:write"])),
    params(
        ("order_id" = Uuid, Path, description = "The order's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read: 412 where it has changed since"),
    ),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "The order as it is now", body = OrderBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[patch("/orders-optimized/{order_id}")]
pub(crate) async fn update(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
    body: Json<ChangeBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id = order_id(&path)?;
    let change = body.value.check()?;
    let transaction = state.db.begin(seller.keys.seller()).await?;
    let done = apply(&transaction, &seller, &request, id, change).await;
    Ok(written(HttpResponse::Ok(), state.settle(transaction, done).await?))
}

async fn apply(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    request: &HttpRequest,
    id: OrderId,
    change: Change,
) -> Result<Encoded, Problem> {
    let (keys, sight) = (&seller.keys, seller.sight());
    let order = orders::lock(transaction, keys, id).await?;
    let order = order.ok_or_else(|| Problem::not_found("order"))?;
    if encoded(keys.seller(), &order, sight)?.tag.is_refused_by(request) {
        return Err(Problem::precondition_failed());
    }
    let differences =
        order.differences(&change).map_err(|forbidden| Problem::conflict(forbidden.to_string()))?;
    let author = author(seller.actor());
    let order = orders::update(transaction, keys, order, change, &differences, &author).await?;
    encoded(keys.seller(), &order, sight)
}
