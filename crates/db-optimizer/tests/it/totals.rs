use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use chrono::Utc;
use futures::future::join_all;
use jebi_db_optimizer::orders::{self, Change};
use jebi_db_optimizer::testing::{Numbers, TestDatabase, total_and_count};
use jebi_db_optimizer::{Config, housekeeping};
use jebi_domain::{OrderFilter, OrderStatus, Platform, SellerKeys};

use crate::fixture::{author, load, mixed_orders, order};

/// A writer: orders of today, some of which move on at once.
async fn write(db: &TestDatabase, keys: &SellerKeys, writer: u64) {
    let mut numbers = Numbers::new(writer);
    for n in 0..40 {
        let transaction = db.pool.begin(keys.seller()).await.unwrap();
        let account = orders::own_shop(&transaction, keys.seller()).await.unwrap();
        let platform = numbers.one_of(Platform::ALL);
        let number = format!("{writer}-{n}");
        let new = order(account, &number, OrderStatus::Pending, platform, Utc::now(), 1);
        let created = orders::create(&transaction, keys, new, &author()).await.unwrap();
        if numbers.below(10) == 0 {
            transaction.rollback().await.unwrap();
            continue;
        }
        transaction.commit().await.unwrap();
        if numbers.below(2) == 0 {
            let transaction = db.pool.begin(keys.seller()).await.unwrap();
            let order = orders::lock(&transaction, keys, created.id).await.unwrap().unwrap();
            let change = Change { status: Some(OrderStatus::Confirmed), ..Change::default() };
            let differences = order.differences(&change).unwrap();
            let by = author();
            orders::update(&transaction, keys, order, change, &differences, &by).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_total_is_exact_while_eight_write_and_two_fold() {
    let config = Config { size: 12, ..Config::default() };
    let db = TestDatabase::with_config(&config).await;
    let keys = db.seller("one").await;
    let done = AtomicBool::new(false);
    let writers = async {
        join_all((1..=8).map(|writer| write(&db, &keys, writer))).await;
        done.store(true, Relaxed);
    };
    let fold = || async {
        while !done.load(Relaxed) {
            housekeeping::fold_totals(&db.pool).await.unwrap();
        }
    };
    let watch = async {
        let filters = [
            OrderFilter::default(),
            OrderFilter { status: Some(OrderStatus::Confirmed), ..OrderFilter::default() },
            OrderFilter { platform: Some(Platform::Naver), ..OrderFilter::default() },
        ];
        let mut snapshots = 0_u32;
        while !done.load(Relaxed) || snapshots < 300 {
            for filter in &filters {
                let (total, count) = total_and_count(&db.pool, keys.seller(), filter).await;
                assert_eq!(total, count, "{filter:?} in snapshot {snapshots}");
                snapshots += 1;
            }
        }
        snapshots
    };
    let ((), (), (), snapshots) = futures::join!(writers, fold(), fold(), watch);
    assert!(snapshots >= 300);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(db.number(deadlocks).await, 0);
    assert!(db.number("SELECT count(*) FROM orders").await > 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn folded_totals_add_up_to_the_orders_in_every_grain() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    load(&db, &keys, mixed_orders(200, 9)).await;
    housekeeping::fold_totals(&db.pool).await.unwrap();
    db.run("UPDATE orders SET status = 'refunded' WHERE status = 'shipped'").await;
    db.run(
        "DELETE FROM order_items; DELETE FROM order_history; DELETE FROM orders WHERE id IN
            (SELECT id FROM orders ORDER BY id LIMIT 50)",
    )
    .await;
    assert!(housekeeping::fold_totals(&db.pool).await.unwrap() > 0);
    assert_eq!(housekeeping::fold_totals(&db.pool).await.unwrap(), 0);
    for (grain, bucket) in [
        ("all", "'-infinity'::date"),
        ("month", "jebi_month(jebi_day(created_at))"),
        ("day", "jebi_day(created_at)"),
    ] {
        let wrong = db
            .number(&format!(
                "SELECT count(*) FROM (
                     SELECT {bucket} AS bucket, platform, status, currency, count(*) AS orders,
                            sum(total_amount) AS amount
                     FROM orders GROUP BY 1, 2, 3, 4
                 ) AS counted FULL JOIN (
                     SELECT * FROM order_totals WHERE grain = '{grain}' AND orders <> 0
                 ) AS folded USING (bucket, platform, status, currency)
                 WHERE counted.orders IS DISTINCT FROM folded.orders
                    OR counted.amount IS DISTINCT FROM folded.amount"
            ))
            .await;
        assert_eq!(wrong, 0, "{grain}");
        assert_eq!(wrong_counts(&db, grain, bucket).await, 0, "{grain}");
    }
    // As a database comes to them that has totals already.
    let migration = |file: &str| {
        let path =
            format!("{}/../../migrations/0014_order_counts/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    db.run(&migration("down.sql")).await;
    db.run(&migration("up.sql")).await;
    assert_eq!(
        wrong_counts(&db, "day", "jebi_day(created_at)").await,
        0,
        "counted by the migration"
    );
}

/// How many counts of a grain, of each platform, each status, both and neither, are not what the orders say.
async fn wrong_counts(db: &TestDatabase, grain: &str, bucket: &str) -> i64 {
    db.number(&format!(
        "SELECT count(*) FROM (
             SELECT bucket, coalesce(platform, '') AS platform, coalesce(status, '') AS status,
                    count(*) AS orders
             FROM (SELECT {bucket} AS bucket, platform, status FROM orders) AS o
             GROUP BY bucket, CUBE (platform, status)
         ) AS counted FULL JOIN (
             SELECT * FROM order_counts WHERE grain = '{grain}' AND orders <> 0
         ) AS folded USING (bucket, platform, status)
         WHERE counted.orders IS DISTINCT FROM folded.orders"
    ))
    .await
}
