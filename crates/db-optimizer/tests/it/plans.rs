use jebi_db_optimizer::orders::page_statement;
use jebi_db_optimizer::testing::TestDatabase;
use jebi_db_optimizer::{Plan, explain, housekeeping};
use jebi_domain::{
    At, Bounds, OrderFilter, OrderStatus, PageNumber, PageSize, Platform, Position, SellerId,
};

use crate::fixture::time;

const ORDERS: u64 = 200_000;

/// One large seller among others: 200,000 orders over two years, skewed like real ones, their rows not
/// in the order of time.
async fn large(db: &TestDatabase, seller: SellerId) {
    db.run(&format!(
        "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
             order_number, status, currency, items_count, items_amount, total_amount, customer,
             created_at)
         SELECT gen_random_uuid(), '{seller}',
                (ARRAY['coupang', 'naver', '11st', 'direct'])[1 + hash % 4],
                account.id, n, n,
                CASE WHEN hash % 1000 < 4 THEN 'pending' WHEN hash % 1000 < 30 THEN 'paid'
                     WHEN hash % 1000 < 60 THEN 'shipped' WHEN hash % 1000 < 105 THEN 'cancelled'
                     ELSE 'delivered' END,
                'KRW', 1, 1000, 1000, '',
                '2024-06-01'::timestamptz + (n * 7919 % {ORDERS}) * interval '315.36 seconds'
         FROM (SELECT n, abs(hashint8(n)) AS hash FROM generate_series(1, {ORDERS}) AS n) AS made,
              (SELECT id FROM platform_accounts WHERE seller_id = '{seller}') AS account"
    ))
    .await;
    housekeeping::fold_totals(&db.pool).await.unwrap();
    // A connection that is just being made, to whatever database, keeps VACUUM from seeing rows as visible
    // to all.
    let unseen = "SELECT count(*) FROM pg_class
                  WHERE relname IN ('orders', 'order_totals') AND relallvisible < relpages";
    db.run("VACUUM ANALYZE").await;
    while db.number(unseen).await > 0 {
        db.run("VACUUM").await;
    }
}

struct Guard<'a> {
    db: &'a TestDatabase,
    seller: SellerId,
}

impl Guard<'_> {
    async fn plan(&self, filter: &OrderFilter, at: At, items: u64) -> Plan {
        let statement = page_statement(self.seller, filter, at, PageSize::new(items).unwrap());
        let plan = explain(&self.db.pool, &statement).await.unwrap();
        // Differences are few; the planner may read them from end to end.
        let mut scanned = plan.sequential_scans();
        scanned.retain(|table| table != "order_total_deltas");
        assert_eq!(scanned, Vec::<String>::new(), "{filter:?} {at:?}\n{plan}");
        plan
    }

    /// Where page `page` begins, found without the code under test.
    async fn position(&self, filter: &OrderFilter, page: u64) -> At {
        let seller = self.seller;
        let status = filter.status.map(|status| format!("AND status = '{status}'"));
        let platform = filter.platform.map(|platform| format!("AND platform = '{platform}'"));
        let found = self
            .db
            .text(&format!(
                "SELECT id || ' ' || (extract(epoch FROM created_at) * 1000000)::bigint FROM orders
                 WHERE seller_id = '{seller}' {} {} ORDER BY created_at DESC, id DESC
                 OFFSET {} LIMIT 1",
                status.unwrap_or_default(),
                platform.unwrap_or_default(),
                (page - 1) * 50 - 1,
            ))
            .await;
        let (id, micros) = found.split_once(' ').unwrap();
        let created_at = chrono::DateTime::from_timestamp_micros(micros.parse().unwrap()).unwrap();
        At::After(Position { created_at, id: id.parse().unwrap() })
    }
}

fn page(number: u64) -> At {
    At::Page(PageNumber::new(number, PageSize::new(50).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_a_large_seller_costs_more_than_its_rows() {
    let db = TestDatabase::new().await;
    let seller = db.seller("large").await.seller();
    large(&db, seller).await;
    let guard = Guard { db: &db, seller };

    // By cursor: as deep as the filter goes, at most 1.5 times the first page.
    let delivered = OrderFilter { status: Some(OrderStatus::Delivered), ..OrderFilter::default() };
    let coupang = OrderFilter { platform: Some(Platform::Coupang), ..OrderFilter::default() };
    for (filter, deep) in [(OrderFilter::default(), 3_000), (delivered, 3_000), (coupang, 900)] {
        let first = guard.plan(&filter, page(1), 50).await.buffers();
        let at = guard.position(&filter, deep).await;
        let deep = guard.plan(&filter, at, 50).await.buffers();
        assert!(deep * 2 <= first * 3, "{deep} buffers deep down, {first} on page 1: {filter:?}");
    }

    // By number: what lies before the page's first day is not read. A day holds 274 rows here, each on a
    // page of its own.
    for number in [2, 1_000, 3_000, 4_000] {
        let plan = guard.plan(&OrderFilter::default(), page(number), 50).await;
        assert!(plan.buffers() < 900, "page {number}: {} buffers\n{plan}", plan.buffers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_reads_few_pages_at_any_filter() {
    let db = TestDatabase::new().await;
    let seller = db.seller("large").await.seller();
    large(&db, seller).await;
    let guard = Guard { db: &db, seller };
    let created = Bounds::new(
        Some(time("2024-08-14T15:04:05+09:00")),
        Some(time("2026-02-11T03:02:01+09:00")),
    )
    .unwrap();
    for status in [None, Some(OrderStatus::Delivered), Some(OrderStatus::Failed)] {
        for platform in [None, Some(Platform::Naver)] {
            for created in [Bounds::default(), created] {
                let filter = OrderFilter { status, platform, created, search: None };
                let plan = guard.plan(&filter, page(1), 1).await;
                // Eleven rows, each on a page of its own, are the page's; the rest is the total's. With
                // both status and platform the two days at the edges are counted row by row.
                let bound = if status.is_some() && platform.is_some() { 160 } else { 110 };
                assert!(plan.buffers() <= bound, "{filter:?}: {} buffers\n{plan}", plan.buffers());
            }
        }
    }
}
