use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, patch};
use jebi_db_optimizer::Transaction;
use jebi_db_optimizer::products::{self, Change};
use jebi_domain::{Money, ProductId, ProductStatus, StockChange};
use serde::Deserialize;
use utoipa::ToSchema;

use super::whole::{WholeBody, encoded, product_id, statuses};
use crate::auth::{ProductsWrite, Seller};
use crate::body::{Json, not_null};
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// What is to change; an absent field stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductChange, example = json!({ "price": 12900, "stock": 40 }))]
pub(crate) struct ChangeBody {
    /// In minor units of the product's currency.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    price: Option<i64>,
    /// The stock that it comes to; not with `stock_delta`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    stock: Option<i64>,
    /// By how many the stock changes, up or down; not with `stock`.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    stock_delta: Option<i64>,
    /// Lets the stock fall below 0.
    #[serde(default)]
    allow_negative: bool,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(schema_with = statuses)]
    status: Option<String>,
}

/// A body whose own values are right; the stock it leads to is not known yet.
struct Checked {
    price: Option<i64>,
    stock: Option<(&'static str, StockChange)>,
    may_be_negative: bool,
    status: Option<ProductStatus>,
}

impl ChangeBody {
    fn check(self) -> Result<Checked, Problem> {
        let mut faults = Faults::default();
        let status = self.status.and_then(|word| {
            faults.check("status", word.parse::<ProductStatus>().map_err(Fault::unreadable))
        });
        if self.price.is_some_and(|price| !(0..=Money::MAX).contains(&price)) {
            faults
                .add("price", Fault::Unacceptable(format!("must be between 0 and {}", Money::MAX)));
        }
        let stock = match (self.stock, self.stock_delta) {
            (Some(_), Some(_)) => {
                faults.add("stock", Fault::unacceptable("does not go with stock_delta"));
                None
            }
            (Some(units), None) => Some(("stock", StockChange::To(units))),
            (None, Some(units)) => Some(("stock_delta", StockChange::By(units))),
            (None, None) => None,
        };
        faults.finish()?;
        Ok(Checked { price: self.price, stock, may_be_negative: self.allow_negative, status })
    }
}

/// Changes what the seller owns of a product: its price, its stock, its status.
///
/// What collection owns, cost and wholesale stock, is not changed here. A change that changes nothing is no new
/// version. Statements: 7 to 9; 4 where nothing changes.
#[utoipa::path(
    path = "/products-optimized/{product_id}",
    tag = "products",
    security(("api_key" = ["products:write"])),
    params(
        ("product_id" = Uuid, Path, description = "The product's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read: 412 where it has changed since"),
    ),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "The product as it is now", body = WholeBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[patch("/products-optimized/{product_id}")]
pub(crate) async fn update(
    seller: Seller<ProductsWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
    body: Json<ChangeBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id = product_id(&path)?;
    let change = body.value.check()?;
    let transaction = state.db.begin(seller.keys.seller()).await?;
    let done = apply(&transaction, &seller, &request, id, change).await;
    Ok(written(HttpResponse::Ok(), state.settle(transaction, done).await?))
}

async fn apply(
    transaction: &Transaction<'_>,
    seller: &Seller<ProductsWrite>,
    request: &HttpRequest,
    id: ProductId,
    change: Checked,
) -> Result<Encoded, Problem> {
    let owner = seller.keys.seller();
    let whole = products::lock(transaction, owner, id).await?;
    let whole = whole.ok_or_else(|| Problem::not_found("product"))?;
    if encoded(owner, whole.clone())?.tag.is_refused_by(request) {
        return Err(Problem::precondition_failed());
    }
    let Checked { price, stock, may_be_negative, status } = change;
    let stock = stock
        .map(|(field, change)| {
            let stock = change.of(whole.product.stock, may_be_negative);
            stock.map_err(|why| Fault::unacceptable(why).at(field))
        })
        .transpose()?;
    let change = Change { price, stock, status };
    let author = author(seller.actor());
    let whole = products::update(transaction, owner, whole, change, &author).await?;
    encoded(owner, whole)
}
