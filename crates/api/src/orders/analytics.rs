use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{NaiveDate, Utc};
use chrono_tz::Asia::Seoul;
use jebi_cache::Load;
use jebi_db_optimizer::analytics::{self, Analytics, Cell};
use jebi_domain::OrderStatus;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{OrdersRead, Seller};
use crate::cached::{Key, answer};
use crate::params::{Params, count};
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::Encoded;
use crate::state::State;

/// What a seller's last days came to. Days are those of Seoul.
#[derive(Serialize, ToSchema)]
#[schema(as = Analytics)]
struct AnalyticsBody {
    days: u16,
    /// The first day that counts.
    from: NaiveDate,
    /// The last: today.
    to: NaiveDate,
    order_stats: OrderStats,
    /// By currency; amounts of two are never added.
    revenue_stats: Vec<RevenueStats>,
    platform_stats: Vec<PlatformStats>,
    product_stats: ProductStats,
}

/// All orders of the days, by how far they have come by now.
#[derive(Serialize, ToSchema)]
struct OrderStats {
    total: i64,
    by_status: BTreeMap<&'static str, i64>,
}

/// The orders that were not cancelled, refunded, returned or failed.
#[derive(Serialize, ToSchema)]
struct RevenueStats {
    currency: &'static str,
    orders: i64,
    amount: i128,
    /// Each day, also those without orders.
    daily: Vec<DailyRevenue>,
}

#[derive(Serialize, ToSchema)]
struct DailyRevenue {
    date: NaiveDate,
    orders: i64,
    amount: i128,
}

/// The same by platform.
#[derive(Serialize, ToSchema)]
struct PlatformStats {
    platform: &'static str,
    currency: &'static str,
    orders: i64,
    amount: i128,
}

/// All products, as they are now.
#[derive(Serialize, ToSchema)]
struct ProductStats {
    total: i64,
    by_status: BTreeMap<&'static str, i64>,
}

/// Whether an order counts as revenue.
const fn is_revenue(status: OrderStatus) -> bool {
    match status {
        OrderStatus::Pending
        | OrderStatus::Confirmed
        | OrderStatus::Paid
        | OrderStatus::Processing
        | OrderStatus::Shipped
        | OrderStatus::Delivered => true,
        OrderStatus::Cancelled
        | OrderStatus::Refunded
        | OrderStatus::Returned
        | OrderStatus::Failed => false,
    }
}

/// A number of orders and what they are worth.
#[derive(Clone, Copy, Default)]
struct Sum {
    orders: i64,
    amount: i128,
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.orders += cell.orders;
        self.amount += cell.amount;
    }
}

impl AnalyticsBody {
    fn new(days: u16, analytics: &Analytics) -> Self {
        let Analytics { first, last, cells, products } = analytics;
        let mut by_status = BTreeMap::new();
        for cell in cells {
            *by_status.entry(cell.status.as_str()).or_default() += cell.orders;
        }
        let mut by_currency: BTreeMap<&str, BTreeMap<NaiveDate, Sum>> = BTreeMap::new();
        let mut by_platform: BTreeMap<(&str, &str), Sum> = BTreeMap::new();
        for cell in cells.iter().filter(|cell| is_revenue(cell.status)) {
            let currency = cell.currency.as_str();
            by_currency.entry(currency).or_default().entry(cell.day).or_default().add(cell);
            by_platform.entry((cell.platform.as_str(), currency)).or_default().add(cell);
        }
        let revenue = |(currency, sums): (&'static str, BTreeMap<NaiveDate, Sum>)| RevenueStats {
            currency,
            orders: sums.values().map(|sum| sum.orders).sum(),
            amount: sums.values().map(|sum| sum.amount).sum(),
            daily: first
                .iter_days()
                .take_while(|day| day <= last)
                .map(|date| {
                    let Sum { orders, amount } = sums.get(&date).copied().unwrap_or_default();
                    DailyRevenue { date, orders, amount }
                })
                .collect(),
        };
        let platform = |((platform, currency), Sum { orders, amount })| PlatformStats {
            platform,
            currency,
            orders,
            amount,
        };
        Self {
            days,
            from: *first,
            to: *last,
            order_stats: OrderStats { total: by_status.values().sum(), by_status },
            revenue_stats: by_currency.into_iter().map(revenue).collect(),
            platform_stats: by_platform.into_iter().map(platform).collect(),
            product_stats: ProductStats {
                total: products.iter().map(|(_, count)| count).sum(),
                by_status: products
                    .iter()
                    .map(|(status, count)| (status.as_str(), *count))
                    .collect(),
            },
        }
    }
}

/// What the last days came to: orders, revenue, platforms, products; exact, by the moment of the call.
///
/// Statements: 3, in one snapshot; no order is read.
#[utoipa::path(
    path = "/orders-optimized/analytics/performance",
    tag = "orders",
    security(("api_key" = ["orders:read"])),
    params(
        ("days" = Option<u16>, Query, description = "So many days up to today; 7 where absent", minimum = 1, maximum = 365),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The sums", body = AnalyticsBody),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/orders-optimized/analytics/performance")]
pub(crate) async fn performance(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let days = params.take("days", |text| {
        let days = u16::try_from(count(text)?).ok().filter(|days| (1..=365).contains(days));
        days.ok_or_else(|| Fault::unacceptable("must be between 1 and 365"))
    });
    params.finish()?;
    let (days, owner) = (days.unwrap_or(7), seller.keys.seller());
    let now = Utc::now();
    // A new day has new sums, whether or not anything was sold.
    let key = Key::days(owner, days, now.with_timezone(&Seoul).date_naive());
    let state = State::clone(&state);
    answer(&request, &state.clone().caches.analytics, &key, "sums", async move |_: Load| {
        let analytics = analytics::last_days(&state.db, owner, days, now).await?;
        Encoded::of(owner, &AnalyticsBody::new(days, &analytics)).map(Some)
    })
    .await
}
