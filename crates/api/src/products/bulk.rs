use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jebi_db_optimizer::products::{self, StockOutcome, StockRow};
use jebi_domain::{ProductId, StockChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{ProductsWrite, Seller};
use crate::body::{Json, objects};
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{author, encode};
use crate::state::State;

/// The most rows of one bulk change.
const MAX_ROWS: usize = 10_000;

/// Changes of many stocks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkStock, example = json!({
    "items": [{ "product_id": "01890a5d-ac96-774b-bcce-b302099a8057", "quantity": 40 }]
}))]
pub(crate) struct BulkBody {
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 10_000)]
    items: Vec<RowBody>,
    /// Lets stocks fall below 0.
    #[serde(default)]
    allow_negative: bool,
}

/// A change of one stock: to `quantity`, or by `delta`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkStockItem)]
struct RowBody {
    #[schema(value_type = Uuid)]
    product_id: String,
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    quantity: Option<i64>,
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    delta: Option<i64>,
}

/// What became of each row, in the order in which they were sent.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkStockResults)]
struct ResultsBody {
    results: Vec<ResultBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BulkStockResult)]
struct ResultBody {
    product_id: Uuid,
    /// 200, 404 or 422.
    status: u16,
    /// The stock now.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<i64>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

impl BulkBody {
    fn check(&self) -> Result<Vec<StockRow>, Problem> {
        let mut faults = Faults::default();
        if !(1..=MAX_ROWS).contains(&self.items.len()) {
            let bounds = format!("must have between 1 and {MAX_ROWS} rows");
            return Err(Fault::Unacceptable(bounds).at("items"));
        }
        let mut rows = Vec::with_capacity(self.items.len());
        for (at, row) in self.items.iter().enumerate() {
            let id =
                row.product_id.parse::<ProductId>().map_err(|_| Fault::unreadable("is not a UUID"));
            let product = faults.check(format!("items[{at}].product_id"), id);
            let change = match (row.quantity, row.delta) {
                (Some(units), None) => Some(StockChange::To(units)),
                (None, Some(units)) => Some(StockChange::By(units)),
                _ => {
                    let one = "or delta must be there, and not both";
                    faults.add(format!("items[{at}].quantity"), Fault::unacceptable(one));
                    None
                }
            };
            rows.extend(product.zip(change).map(|(product, change)| StockRow { product, change }));
        }
        faults.finish()?;
        Ok(rows)
    }
}

/// Changes the stock of up to 10,000 products in one transaction, each row for itself.
///
/// A row that cannot be done fails alone, and says why. Of several rows for one product the first counts.
/// Statements: 4, whatever the number of rows; 1 where none can be done.
#[utoipa::path(
    path = "/products-optimized/bulk-stock",
    tag = "products",
    security(("api_key" = ["products:write"])),
    request_body = BulkBody,
    responses(
        (status = 200, description = "What became of each row", body = ResultsBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/products-optimized/bulk-stock")]
pub(crate) async fn bulk_stock(
    seller: Seller<ProductsWrite>,
    state: Data<State>,
    request: HttpRequest,
    body: Json<BulkBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let rows = body.value.check()?;
    let owner = seller.keys.seller();
    let author = author(seller.actor());
    let transaction = state.db.begin(owner).await?;
    let may_be_negative = body.value.allow_negative;
    let done = products::change_stocks(&transaction, owner, &rows, may_be_negative, &author).await;
    let outcomes = state.settle(transaction, done.map_err(Problem::from)).await?;
    let results = rows.iter().zip(outcomes).map(|(row, outcome)| {
        let (status, stock, detail) = match outcome {
            StockOutcome::Changed(stock) => (200, Some(stock), None),
            StockOutcome::NotFound => (404, None, Some("there is no such product")),
            StockOutcome::Refused(why) => (422, None, Some(why)),
        };
        ResultBody { product_id: row.product.as_uuid(), status, stock, detail }
    });
    let bytes = encode(&ResultsBody { results: results.collect() })?;
    Ok(HttpResponse::Ok().content_type("application/json").body(bytes))
}
