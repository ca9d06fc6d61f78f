use std::collections::HashMap;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use chrono::{DateTime, FixedOffset, Utc};
use jebi_db_optimizer::idempotency::{self, Answer, Claim, Request};
use jebi_db_optimizer::orders::{self, CatalogueEntry};
use jebi_db_optimizer::{Error, Transaction, random};
use jebi_domain::{
    Address, Amounts, Currency, Customer, Money, NewOrder, NewOrderLine, OrderId, OrderStatus,
    Platform, Quantity, SellerId, Text,
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::whole::{OrderBody, currencies, encoded};
use crate::auth::{OrdersWrite, Seller};
use crate::body::{Json, objects, optional_object};
use crate::etag::Tag;
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// The longest order is of this many lines; the real orders' longest has 1,114.
const MAX_LINES: usize = 2_000;

const ROUTE: &str = "POST /orders-optimized/";

/// An order of the seller's own shop.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrder, example = json!({
    "currency": "GBP",
    "items": [{ "sku": "85123A", "quantity": 6, "price": 255 }],
    "shipping_amount": 300,
    "customer": {
        "name": "홍길동",
        "phone": "010-1234-5678",
        "email": "hong@example.com",
        "address": {
            "postal_code": "06236",
            "line1": "서울특별시 강남구 테헤란로 1",
            "line2": "101동 1001호",
            "country": "KR"
        }
    },
    "memo": "문 앞에 놓아 주세요"
}))]
pub(crate) struct NewOrderBody {
    /// How people call it; unique in the shop. One is made where it is absent.
    #[schema(min_length = 1, max_length = 64)]
    order_number: Option<String>,
    /// Of all amounts.
    #[schema(schema_with = currencies)]
    currency: String,
    /// What was ordered.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 2000)]
    items: Vec<NewLineBody>,
    /// What shipping costs the buyer.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    shipping_amount: i64,
    /// What is taken off.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    discount_amount: i64,
    /// Who ordered.
    #[serde(default, deserialize_with = "optional_object")]
    customer: Option<NewCustomerBody>,
    /// The seller's note.
    #[schema(min_length = 1, max_length = 2000)]
    memo: Option<String>,
}

/// A line of a new order. It names its product by `sku` or by `product_id`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrderItem)]
struct NewLineBody {
    /// The seller's code for the product.
    sku: Option<String>,
    /// The product's id.
    #[schema(value_type = Option<Uuid>)]
    product_id: Option<String>,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// Of one of them.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    price: i64,
}

/// Who ordered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCustomer)]
struct NewCustomerBody {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 40)]
    phone: Option<String>,
    #[schema(min_length = 1, max_length = 254)]
    email: Option<String>,
    #[serde(default, deserialize_with = "optional_object")]
    address: Option<NewAddressBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAddress)]
struct NewAddressBody {
    #[schema(min_length = 1, max_length = 20)]
    postal_code: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    line1: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    line2: Option<String>,
    #[schema(min_length = 1, max_length = 60)]
    country: Option<String>,
}

impl std::fmt::Debug for NewCustomerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewCustomerBody(redacted)")
    }
}

/// A body whose own values are right; its products are not looked up yet.
struct Checked {
    order_number: Option<String>,
    lines: Vec<CheckedLine>,
    amounts: Amounts,
    customer: Customer,
    memo: Option<String>,
}

struct CheckedLine {
    product: ProductName,
    quantity: Quantity,
    price: Money,
}

enum ProductName {
    Sku(String),
    Id(Uuid),
}

impl NewOrderBody {
    fn check(self) -> Result<Checked, Problem> {
        let mut faults = Faults::default();
        let currency = self.currency.parse::<Currency>().map_err(Fault::unreadable);
        let currency = faults.check("currency", currency);
        // Amounts are checked as well where the currency is not known.
        let money = |amount| non_negative(amount, currency.unwrap_or(Currency::Krw));
        let shipping = faults.check("shipping_amount", money(self.shipping_amount));
        let discount = faults.check("discount_amount", money(self.discount_amount));
        let order_number = text::<64>(&mut faults, "order_number", self.order_number);
        let memo = text::<2_000>(&mut faults, "memo", self.memo);
        let customer =
            self.customer.map(|customer| customer.check(&mut faults)).unwrap_or_default();

        if !(1..=MAX_LINES).contains(&self.items.len()) {
            let bounds = format!("must have between 1 and {MAX_LINES} lines");
            faults.add("items", Fault::Unacceptable(bounds));
        }
        let mut lines = Vec::with_capacity(self.items.len());
        for (at, line) in self.items.into_iter().enumerate() {
            let field = |name: &str| format!("items[{at}].{name}");
            let quantity = Quantity::new(line.quantity).ok_or_else(|| {
                Fault::Unacceptable(format!("must be between 1 and {}", Quantity::MAX))
            });
            let quantity = faults.check(field("quantity"), quantity);
            let price = faults.check(field("price"), money(line.price));
            let product = match (line.sku, line.product_id) {
                (Some(sku), None) => {
                    let sku = Text::<64>::new(&sku).map_err(Fault::unacceptable);
                    faults.check(field("sku"), sku).map(|sku| ProductName::Sku(sku.into_string()))
                }
                (None, Some(id)) => {
                    let id = id.parse().map_err(|_| Fault::unreadable("is not a UUID"));
                    faults.check(field("product_id"), id).map(ProductName::Id)
                }
                _ => {
                    let one = "or product_id must be there, and not both";
                    faults.add(field("sku"), Fault::unacceptable(one));
                    None
                }
            };
            if let (Some(product), Some(quantity), Some(price)) = (product, quantity, price) {
                lines.push(CheckedLine { product, quantity, price });
            }
        }
        let amounts =
            currency.zip(shipping).zip(discount).and_then(|((currency, shipping), off)| {
                let sum = |off| {
                    let lines = lines.iter().map(|line| (line.quantity, line.price));
                    Amounts::of(currency, lines, shipping, off)
                };
                let field =
                    if sum(Money::zero(currency)).is_ok() { "discount_amount" } else { "items" };
                let too_much = "gives a total that is negative or too large";
                faults.check(field, sum(off).map_err(|_| Fault::unacceptable(too_much)))
            });
        match amounts {
            Some(amounts) if faults.is_empty() => {
                Ok(Checked { order_number, lines, amounts, customer, memo })
            }
            _ => Err(faults.into_problem()),
        }
    }
}

impl NewCustomerBody {
    fn check(self, faults: &mut Faults) -> Customer {
        Customer {
            name: text::<100>(faults, "customer.name", self.name),
            phone: text::<40>(faults, "customer.phone", self.phone),
            email: text::<254>(faults, "customer.email", self.email),
            address: self.address.map(|address| Address {
                postal_code: text::<20>(
                    faults,
                    "customer.address.postal_code",
                    address.postal_code,
                ),
                line1: text::<200>(faults, "customer.address.line1", address.line1),
                line2: text::<200>(faults, "customer.address.line2", address.line2),
                country: text::<60>(faults, "customer.address.country", address.country),
            }),
        }
    }
}

pub(super) fn text<const MAX: usize>(
    faults: &mut Faults,
    field: &str,
    sent: Option<String>,
) -> Option<String> {
    let text = Text::<MAX>::new(&sent?).map_err(Fault::unacceptable);
    faults.check(field, text).map(Text::into_string)
}

fn non_negative(amount: i64, currency: Currency) -> Result<Money, Fault> {
    let money = Money::new(amount, currency).ok().filter(|money| money.amount() >= 0);
    money.ok_or_else(|| Fault::Unacceptable(format!("must be between 0 and {}", Money::MAX)))
}

impl Checked {
    /// The order, with the products that its lines name.
    async fn into_order(
        self,
        transaction: &Transaction<'_>,
        seller: SellerId,
        now: DateTime<Utc>,
    ) -> Result<NewOrder, Problem> {
        let account = orders::own_shop(transaction, seller).await?;
        let (mut skus, mut ids) = (vec![], vec![]);
        for line in &self.lines {
            match &line.product {
                ProductName::Sku(sku) => skus.push(sku.clone()),
                ProductName::Id(id) => ids.push(*id),
            }
        }
        let found = orders::find_products(transaction, seller, ids, skus).await?;
        let lines = named(self.lines, &found)?;
        let id = OrderId::new(now, random());
        let number = self.order_number.unwrap_or_else(|| made_number(now));
        Ok(NewOrder {
            id,
            platform: Platform::Direct,
            account,
            platform_order_id: number.clone(),
            order_number: number,
            status: OrderStatus::Pending,
            lines,
            amounts: self.amounts,
            customer: self.customer,
            memo: self.memo,
            created_at: now,
        })
    }
}

fn named(lines: Vec<CheckedLine>, found: &[CatalogueEntry]) -> Result<Vec<NewOrderLine>, Problem> {
    let by_sku: HashMap<&str, &CatalogueEntry> =
        found.iter().map(|product| (product.sku.as_str(), product)).collect();
    let by_id: HashMap<Uuid, &CatalogueEntry> =
        found.iter().map(|product| (product.id.as_uuid(), product)).collect();
    let mut faults = Faults::default();
    let mut named = Vec::with_capacity(lines.len());
    for (at, line) in lines.into_iter().enumerate() {
        let (field, product) = match &line.product {
            ProductName::Sku(sku) => ("sku", by_sku.get(sku.as_str())),
            ProductName::Id(id) => ("product_id", by_id.get(id)),
        };
        match product {
            Some(product) => named.push(NewOrderLine {
                product_id: product.id,
                sku: product.sku.clone(),
                product_name: product.name.clone(),
                quantity: line.quantity,
                price: line.price,
            }),
            None => faults.add(
                format!("items[{at}].{field}"),
                Fault::unacceptable("names no product of the catalogue"),
            ),
        }
    }
    faults.finish()?;
    Ok(named)
}

/// `20261123-7KQ2M9XA`: the business day and 40 random bits, in letters that are not mistaken for each
/// other. Two of one day meet once in a million million; then the client is told to try again.
fn made_number(now: DateTime<Utc>) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let day = FixedOffset::east_opt(9 * 3600).map_or_else(
        || now.format("%Y%m%d").to_string(),
        |korea| now.with_timezone(&korea).format("%Y%m%d").to_string(),
    );
    let tail = random::<8>().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    format!("{day}-{}", tail.iter().collect::<String>())
}

/// A new order of the seller's own shop, `pending`.
///
/// With the same `Idempotency-Key` and body the first answer is given again for 24 hours; requests that
/// meet wait for the first. Statements: 10; 2 for a repetition.
#[utoipa::path(
    path = "/orders-optimized/",
    tag = "orders",
    security(("api_key" = ["orders:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, new for each order", example = "b5a1c3f0-5d5c-4f5e-9a38-0f6f0f6e2d11", min_length = 1, max_length = 255)),
    request_body = NewOrderBody,
    responses(
        (status = 201, description = "The order; `Location` says where it is", body = OrderBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/orders-optimized")]
pub(crate) async fn create(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    http: HttpRequest,
    body: Json<NewOrderBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(http.query_string()).finish()?;
    let request = Request { route: ROUTE, key: idempotency_key(&http)?, body: &body.bytes };
    let checked = body.value.check()?;
    let owner = seller.keys.seller();

    let transaction = state.db.begin(owner).await?;
    let done = answer(&transaction, &seller, request, checked).await;
    Ok(created(owner, state.settle(transaction, done).await?))
}

/// The first answer to the request: that of before, or of now.
async fn answer(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    request: Request<'_>,
    checked: Checked,
) -> Result<Answer, Problem> {
    match idempotency::claim(transaction, &seller.keys, request).await? {
        Claim::Mine => {
            let answer = store(transaction, seller, checked).await?;
            idempotency::keep(transaction, &seller.keys, request, &answer).await?;
            Ok(answer)
        }
        Claim::Answered(answer) => Ok(answer),
        Claim::Mismatch => {
            let used = "was used for another body; take a new one for another order";
            Err(Fault::unacceptable(used).at("Idempotency-Key"))
        }
    }
}

async fn store(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    checked: Checked,
) -> Result<Answer, Problem> {
    let author = author(seller.actor());
    let owner = seller.keys.seller();
    let new = checked.into_order(transaction, owner, author.at).await?;
    let order = match orders::create(transaction, &seller.keys, new, &author).await {
        Err(Error::Exists { .. }) => {
            return Err(Problem::conflict("the shop has an order of this order_number already"));
        }
        order => order?,
    };
    let body = encoded(owner, &order, seller.sight())?.bytes;
    Ok(Answer { location: format!("/api/v1/orders-optimized/{}", order.id), body })
}

fn created(owner: SellerId, Answer { location, body }: Answer) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, location));
    // A new order is of version 1, whenever the answer is given.
    let tag = Tag::of(owner, &body).with_version(1);
    written(response, Encoded { tag, bytes: body })
}

fn idempotency_key(request: &HttpRequest) -> Result<&str, Problem> {
    let at = |fault: Fault| fault.at("Idempotency-Key");
    let sent = request.headers().get("idempotency-key");
    let sent =
        sent.ok_or_else(|| at(Fault::unreadable("is missing; send a new one for each order")))?;
    let key = sent.to_str().unwrap_or_default();
    let is_good = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good {
        Ok(key)
    } else {
        Err(at(Fault::unreadable("is not 1 to 255 visible ASCII characters")))
    }
}
