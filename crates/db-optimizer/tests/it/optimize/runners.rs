//! Eight runs at once on a table that is written to.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use jebi_db_optimizer::optimize::{Catalogue, Level, Options, Outcome};
use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_domain::SellerId;
use tokio::time::{Instant, MissedTickBehavior};

use super::{filled, invalid, run_with};

/// Two hundred in a second, each at its time whether the one before is done or not, until `is_over`. Answers how long each
/// took from its time on.
async fn writers(
    db: &TestDatabase,
    seller: SellerId,
    first_line: u32,
    is_over: &AtomicBool,
) -> Vec<Duration> {
    const EACH: Duration = Duration::from_millis(20);
    let numbers = AtomicU32::new(first_line);
    let writer = |first: u32| {
        let numbers = &numbers;
        async move {
            let mut took = Vec::new();
            let mut tick = tokio::time::interval_at(Instant::now() + EACH * first / 4, EACH);
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            while !is_over.load(Relaxed) {
                let due = tick.tick().await;
                let number = numbers.fetch_add(1, Relaxed);
                let insert = format!(
                    "INSERT INTO order_items
                         (order_id, line_no, seller_id, product_id, sku, product_name, quantity, price)
                     SELECT id, {number}, seller_id, gen_random_uuid(), 'S', '보이차', 1, 1 FROM orders
                     WHERE seller_id = '{seller}' LIMIT 1"
                );
                let transaction = db.pool.begin(seller).await.unwrap();
                assert_eq!(run_as_service(&transaction, &insert).await, Ok(1));
                transaction.commit().await.unwrap();
                took.push(due.elapsed());
            }
            took
        }
    };
    futures::future::join_all((0..4).map(writer)).await.concat()
}

/// The latency that one in a hundred exceeds.
fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// `cargo xtask soak optimize` says how large the table is to be; then times are looked at as well.
#[expect(clippy::disallowed_methods, reason = "how large")]
pub(super) fn soak() -> Option<u32> {
    std::env::var("JEBI_TEST_ORDERS").ok().map(|orders| orders.parse().expect("a count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_runs_at_once_under_writes_one_builds_and_nobody_is_in_anybodys_way() {
    let pool = jebi_db_optimizer::Config { size: 6, ..jebi_db_optimizer::Config::default() };
    let db = TestDatabase::with_config(&pool).await;
    let seller = filled::fill(&db, soak().unwrap_or(20_000)).await.seller();
    let is_over = AtomicBool::new(false);
    let eight = async {
        let catalogue = Catalogue::of_jebi();
        let options = Options::new(Level::Aggressive);
        let runs = (0..8).map(|_| run_with(&db, &catalogue, &options));
        let reports = futures::future::join_all(runs).await;
        is_over.store(true, Relaxed);
        reports
    };
    let (reports, beside_runs) = tokio::join!(eight, writers(&db, seller, 1_000, &is_over));
    let reports: Vec<_> = reports.into_iter().map(Result::unwrap).collect();
    for report in &reports {
        assert_eq!(report.failures, Vec::<String>::new());
    }
    let built = reports.iter().filter(|report| !report.steps.is_empty());
    let built: Vec<_> = built.map(|report| &report.steps).collect();
    assert_eq!(built.len(), 1, "one builds");
    // Whether it helps is for the data to say: rows that are being written are read from the table all the same.
    assert!(built[0].iter().all(|step| step.outcome != Outcome::Failed), "{built:?}");
    assert_eq!(invalid(&db).await, 0);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(db.number(deadlocks).await, 0);

    // The same index, built as one builds it who knows no better.
    let Some(orders) = soak() else { return };
    let plain = Catalogue::of_jebi();
    let plain = plain.indexes.iter().find(|index| index.name == "order_items_whole").unwrap();
    db.run("DROP INDEX IF EXISTS order_items_whole").await;
    is_over.store(false, Relaxed);
    let build = async {
        db.run(&format!("CREATE INDEX order_items_whole ON order_items {}", plain.definition))
            .await;
        is_over.store(true, Relaxed);
    };
    let ((), beside_plain) = tokio::join!(build, writers(&db, seller, 1_000_000, &is_over));
    let longest = beside_runs.iter().max().copied().unwrap_or_default();
    let (ours, theirs) = (p99(beside_runs), p99(beside_plain));
    #[expect(clippy::print_stdout, reason = "what the soak is for")]
    {
        println!(
            "{orders} orders: p99 of a write beside eight runs {ours:?}, longest {longest:?}; beside CREATE INDEX {theirs:?}"
        );
    }
    assert!(longest < Duration::from_secs(1), "a writer waited {longest:?}");
    assert!(ours * 10 <= theirs, "p99 {ours:?} beside runs, {theirs:?} beside CREATE INDEX");
}
