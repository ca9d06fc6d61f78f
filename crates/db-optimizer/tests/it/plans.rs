//! What a page and its total cost a seller with a million rows, in buffers, which repeat from run to run.

use chrono::{DateTime, Duration, Utc};
use jebi_db_optimizer::testing::{Numbers, TestDatabase};
use jebi_db_optimizer::{Plan, Statement, explain, orders, products};
use jebi_domain::{
    At, Bounds, OrderFilter, OrderStatus, PageNumber, PageSize, Platform, Position, PriceRange,
    ProductFilter, ProductStatus, Search, SellerId, SellerKeys, StockLevel, TotalIs, Wholesaler,
};

use crate::fixture::time;
use crate::large::{self, DAYS, FIRST_DAY, PEAK, ROWS};

const SIZE: PageSize = PageSize::new(50).unwrap();

/// Reads of the differences that wait to be folded do not count: they are few.
async fn plan<Row>(db: &TestDatabase, statement: &Statement<Row>, what: &str) -> Plan {
    let plan = explain(&db.pool, statement).await.unwrap();
    let mut scanned = plan.sequential_scans();
    scanned.retain(|table| !table.ends_with("_total_deltas"));
    assert_eq!(scanned, Vec::<String>::new(), "{what}\n{plan}");
    plan
}

/// Without the total, which has a bound of its own.
fn page_buffers(plan: &Plan) -> u64 {
    plan.buffers() - plan.buffers_of("total")
}

fn assert_total(plan: &Plan, what: &str) {
    let buffers = plan.buffers_of("total");
    assert!((1..=110).contains(&buffers), "{what}: {buffers} buffers\n{plan}");
}

/// Deep down a list no page costs more than 1.5 times the first.
fn assert_no_dearer(deep: &Plan, first: &Plan, what: &str) {
    let (is, was) = (page_buffers(deep), page_buffers(first));
    assert!(is * 2 <= was * 3, "{is} buffers deep down, {was} on page 1: {what}\n{deep}");
}

fn number(page: u64) -> At {
    At::Page(PageNumber::new(page, SIZE).unwrap())
}

/// Where page 18,000 begins, or the last whole page; found without the code under test. None where there are
/// so few rows that chance decides what a page costs.
async fn deep(db: &TestDatabase, rows: &str) -> Option<At> {
    let size = u64::from(SIZE.items());
    let count = u64::try_from(db.number(&format!("SELECT count(*) FROM {rows}")).await).unwrap();
    let page = (count / size).min(18_000);
    if page < 200 {
        return None;
    }
    let found = db
        .text(&format!(
            "SELECT id || ' ' || (extract(epoch FROM created_at) * 1000000)::bigint FROM {rows}
             ORDER BY created_at DESC, id DESC OFFSET {} LIMIT 1",
            (page - 1) * size - 1,
        ))
        .await;
    let (id, micros) = found.split_once(' ').unwrap();
    let created_at = DateTime::from_timestamp_micros(micros.parse().unwrap()).unwrap();
    Some(At::After(Position { created_at, id: id.parse().unwrap() }))
}

fn options<T: Copy>(values: &[T]) -> impl Iterator<Item = Option<T>> + Clone {
    std::iter::once(None).chain(values.iter().copied().map(Some))
}

/// The first instant, days that are cut anywhere, the busiest one, midnights, the ends of months, and beyond.
fn instants() -> Vec<DateTime<Utc>> {
    let first = time(FIRST_DAY);
    let days = |days: u64| first + Duration::days(i64::try_from(days).unwrap());
    let mut numbers = Numbers::new(17);
    let mut instants = vec![
        first,
        days(DAYS),
        days(DAYS * 2),
        days(PEAK) + Duration::hours(9),
        days(PEAK) + Duration::hours(15),
        days(PEAK + 1),
        time("2024-12-01T00:00:01+09:00"),
        time("2026-08-01T12:34:56.789+09:00"),
        time("2026-08-31T23:59:59.999999+09:00"),
    ];
    for _ in 0..4 {
        let second = i64::try_from(numbers.below(86_400)).unwrap();
        instants.push(days(numbers.below(DAYS)) + Duration::seconds(second));
    }
    instants
}

fn ranges() -> Vec<Bounds> {
    let mut ranges = vec![Bounds::default()];
    for at in instants() {
        ranges.extend(
            [Bounds::new(Some(at), None), Bounds::new(None, Some(at))].into_iter().flatten(),
        );
        ranges.extend(instants().into_iter().filter_map(|to| Bounds::new(Some(at), Some(to))));
    }
    ranges
}

fn order_rows(seller: SellerId, filter: &OrderFilter) -> String {
    let status = filter.status.map(|status| format!(" AND status = '{status}'"));
    let platform = filter.platform.map(|platform| format!(" AND platform = '{platform}'"));
    let (status, platform) = (status.unwrap_or_default(), platform.unwrap_or_default());
    format!("orders WHERE seller_id = '{seller}'{status}{platform}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_orders_cost_no_page_and_no_total_more_than_few() {
    let db = TestDatabase::new().await;
    let keys = db.seller("large").await;
    large::orders(&db, keys.seller()).await;
    pages_of_orders(&db, keys.seller()).await;
    totals_of_orders(&db, keys.seller()).await;
    a_busy_day(&db, &keys).await;
}

async fn pages_of_orders(db: &TestDatabase, seller: SellerId) {
    // By cursor: as deep as the filter goes.
    for status in options(OrderStatus::ALL) {
        for platform in options(Platform::ALL) {
            let filter = OrderFilter { status, platform, ..OrderFilter::default() };
            let what = format!("{filter:?}");
            let first =
                plan(db, &orders::page_statement(seller, &filter, number(1), SIZE), &what).await;
            assert!(page_buffers(&first) < 2 * u64::from(SIZE.items()), "{what}\n{first}");
            let Some(at) = deep(db, &order_rows(seller, &filter)).await else { continue };
            let deep = plan(db, &orders::page_statement(seller, &filter, at, SIZE), &what).await;
            assert_no_dearer(&deep, &first, &what);
        }
    }

    // By number: what lies before the page's first day is not read, and of that day only the index.
    let filter = OrderFilter::default();
    for page in [2, 1_000, 18_000, ROWS / u64::from(SIZE.items())] {
        let plan =
            plan(db, &orders::page_statement(seller, &filter, number(page), SIZE), "by number")
                .await;
        assert!(page_buffers(&plan) < 2 * u64::from(SIZE.items()), "page {page}\n{plan}");
    }
}

async fn totals_of_orders(db: &TestDatabase, seller: SellerId) {
    for created in ranges() {
        for status in options(OrderStatus::ALL) {
            for platform in options(Platform::ALL) {
                let filter = OrderFilter { status, platform, created, search: None };
                let what = format!("{filter:?}");
                let plan =
                    plan(db, &orders::page_statement(seller, &filter, number(1), SIZE), &what)
                        .await;
                assert_total(&plan, &what);
            }
        }
    }
}

/// The one kind of total that is estimated: it says so, and is not far off.
async fn a_busy_day(db: &TestDatabase, keys: &SellerKeys) {
    let noon = time(FIRST_DAY) + Duration::days(i64::try_from(PEAK).unwrap()) + Duration::hours(12);
    for (hours, expected) in
        [(-1, TotalIs::Estimated), (0, TotalIs::Estimated), (12, TotalIs::Exact)]
    {
        let from = noon + Duration::hours(hours);
        let created = Bounds::new(Some(from), None).unwrap();
        let filter = OrderFilter { created, ..OrderFilter::default() };
        // A page beyond the last: these orders have no customers to show.
        let beyond = number(ROWS);
        let page = orders::page(&db.pool, keys, &filter, beyond, SIZE).await.unwrap();
        let counted = format!("SELECT count(*) FROM orders WHERE created_at >= '{from}'");
        let counted = u64::try_from(db.number(&counted).await).unwrap();
        assert_eq!(page.total_is, expected);
        let off = page.total.abs_diff(counted);
        assert!(
            off <= if expected == TotalIs::Exact { 0 } else { counted / 100 },
            "{off} of {counted}"
        );
    }
}

/// What indexes and totals know.
fn kinds_of_products() -> impl Iterator<Item = ProductFilter> {
    options(ProductStatus::ALL).flat_map(|status| {
        options(Wholesaler::ALL).flat_map(move |wholesaler| {
            options(&["상표 3", "없는 상표"]).map(move |brand| {
                let brand = brand.map(str::to_owned);
                ProductFilter { status, wholesaler, brand, ..ProductFilter::default() }
            })
        })
    })
}

/// What no index knows: it is looked for product by product.
fn offers() -> impl Iterator<Item = ProductFilter> {
    let prices = [(Some(20_000), None), (None, Some(30_000)), (Some(5_000), Some(9_000))];
    let prices = prices.into_iter().map(|(min, max)| {
        let price = PriceRange::new(min, max).unwrap();
        ProductFilter { price, ..ProductFilter::default() }
    });
    let stocks = [StockLevel::Low, StockLevel::Out].into_iter();
    prices
        .chain(stocks.map(|stock| ProductFilter { stock: Some(stock), ..ProductFilter::default() }))
}

fn product_rows(seller: SellerId, filter: &ProductFilter) -> String {
    let mut rows = format!(
        "products JOIN product_offers USING (seller_id)
         WHERE product_id = id AND seller_id = '{seller}'"
    );
    let text = |text: &dyn std::fmt::Display| format!("'{text}'");
    let conditions = [
        ("status =", filter.status.map(|status| text(&status))),
        ("wholesaler =", filter.wholesaler.map(|wholesaler| text(&wholesaler))),
        ("brand =", filter.brand.as_ref().map(|brand| text(brand))),
        ("price >=", filter.price.min().map(|min| min.to_string())),
        ("price <=", filter.price.max().map(|max| max.to_string())),
        ("stock", filter.stock.map(|stock| stock_condition(stock).to_owned())),
    ];
    for (column, wanted) in conditions {
        if let Some(wanted) = wanted {
            rows += &format!(" AND {column} {wanted}");
        }
    }
    rows
}

fn stock_condition(stock: StockLevel) -> &'static str {
    match stock {
        StockLevel::Low => "BETWEEN 1 AND 10",
        StockLevel::Out => "<= 0",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_products_cost_no_page_no_total_and_no_search_more_than_few() {
    let db = TestDatabase::new().await;
    let seller = db.seller("large").await.seller();
    large::products(&db, seller).await;
    pages_of_products(&db, seller).await;
    a_frequent_word(&db, seller).await;
}

async fn pages_of_products(db: &TestDatabase, seller: SellerId) {
    for filter in kinds_of_products().chain(offers()) {
        let what = format!("{filter:?}");
        let first =
            plan(db, &products::page_statement(seller, &filter, number(1), SIZE), &what).await;
        // Else it is estimated, and nothing is read.
        if !filter.asks_for_offers() {
            assert_total(&first, &what);
        }
        let Some(at) = deep(db, &product_rows(seller, &filter)).await else { continue };
        let deep = plan(db, &products::page_statement(seller, &filter, at, SIZE), &what).await;
        assert_no_dearer(&deep, &first, &what);
    }
}

/// A word that 200,000 products have.
async fn a_frequent_word(db: &TestDatabase, seller: SellerId) {
    let search = Some(Search::new("무선").unwrap());
    let all = ProductFilter { search: search.clone(), ..ProductFilter::default() };
    let status = Some(ProductStatus::Active);
    for filter in [all, ProductFilter { search, status, ..ProductFilter::default() }] {
        let rows = format!("{} AND name LIKE '무선%'", product_rows(seller, &filter));
        let matches = db.number(&format!("SELECT count(*) FROM {rows}")).await;
        assert!(matches > 170_000, "{matches}");
        let newest =
            |at| products::newest_statement(seller, &filter, at, SIZE, products::Depth::Newest);
        let found = products::found_statement(seller, &filter, number(1), SIZE);
        let newest_page = plan(db, &newest(number(1)), "newest").await;
        let found = plan(db, &found, "found").await;
        let (walked, counted) = (newest_page.buffers(), found.buffers());
        assert!(
            walked + counted <= 1_400,
            "{walked} and {counted} buffers\n{newest_page}\n{found}"
        );
        let at = deep(db, &rows).await.unwrap();
        assert_no_dearer(&plan(db, &newest(at), "deep").await, &newest_page, "deep");
        let extras = products::Extras::default();
        let page =
            products::page(&db.pool, seller, &filter, number(1), SIZE, extras).await.unwrap();
        let shown = (page.items.len(), page.total, page.total_is, page.next.is_some());
        assert_eq!(shown, (usize::from(SIZE.items()), 1_001, TotalIs::Capped, true));
    }
}
