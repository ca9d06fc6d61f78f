use std::time::Duration;

use futures::future::join_all;
use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_db_optimizer::{Config, Error};

/// Waits for something that happens by itself; the test's runner ends a wait that is for ever.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

const OURS: &str = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'jebi'";

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_keeps_its_size_grows_by_its_overflow_and_shrinks_again() {
    let config = Config {
        size: 20,
        overflow: 30,
        timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(400),
        ..Config::default()
    };
    let db = TestDatabase::with_config(&config).await;
    let keys = db.seller("one").await;
    until(async || db.number(OURS).await == 20).await;

    let held = join_all((0..50).map(|_| db.pool.begin(keys.seller()))).await;
    let held: Vec<_> = held.into_iter().map(Result::unwrap).collect();
    assert_eq!(db.number(OURS).await, 50);
    let refused = db.pool.begin(keys.seller()).await.err().unwrap();
    assert!(matches!(refused, Error::NoConnection(_)), "{refused}");
    for transaction in held {
        transaction.commit().await.unwrap();
    }
    // bb8 closes every idle connection that is old and opens new ones up to its size: for a moment there are
    // fewer.
    until(async || db.number(OURS).await == 20 && db.pool.state().open == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_connections_the_server_closed_heals_by_itself() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    until(async || db.number(OURS).await == 2).await;
    let pids = "SELECT coalesce(string_agg(pid::text, ','), '0') FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'jebi'";
    for _ in 0..3 {
        let old = db.text(pids).await;
        db.run(&OURS.replace("SELECT count(*)", "SELECT pg_terminate_backend(pid)")).await;
        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({old})");
        until(async || db.number(&gone).await == 0).await;
        // Their ends are on their way; once all have arrived, every transaction begins.
        let all_begin = async || {
            for _ in 0..10 {
                match db.pool.begin(keys.seller()).await {
                    Ok(transaction) => transaction.commit().await.unwrap(),
                    Err(error) => {
                        assert!(matches!(error, Error::NoConnection(_)), "{error}");
                        return false;
                    }
                }
            }
            true
        };
        until(all_begin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_caller_went_away_is_cancelled_and_blocks_nobody() {
    let config = Config { size: 1, overflow: 0, ..Config::default() };
    let db = TestDatabase::with_config(&config).await;
    let keys = db.seller("one").await;
    let sleeping = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%'
                      AND pid <> pg_backend_pid() AND state = 'active'";
    {
        let transaction = db.pool.begin(keys.seller()).await.unwrap();
        let abandoned = run_as_service(&transaction, "SELECT pg_sleep(600)");
        let begun = until(async || db.number(sleeping).await == 1);
        futures::future::select(Box::pin(abandoned), Box::pin(begun)).await;
    }
    until(async || db.number(sleeping).await == 0).await;
    // The only place of the pool is free again.
    db.pool.begin(keys.seller()).await.unwrap().commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_dropped_is_rolled_back() {
    let config = Config { size: 1, overflow: 0, ..Config::default() };
    let db = TestDatabase::with_config(&config).await;
    let keys = db.seller("one").await;
    let insert = format!(
        "INSERT INTO platform_accounts (id, seller_id, kind, name)
         VALUES (gen_random_uuid(), '{}', 'naver', 'x')",
        keys.seller()
    );
    let transaction = db.pool.begin(keys.seller()).await.unwrap();
    run_as_service(&transaction, &insert).await.unwrap();
    drop(transaction);
    db.pool.begin(keys.seller()).await.unwrap().commit().await.unwrap();
    let kept = "SELECT count(*) FROM platform_accounts WHERE kind = 'naver'";
    assert_eq!(db.number(kept).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_connection_is_counted_and_who_got_one_at_once_is_not() {
    let timeout = Duration::from_millis(500);
    let config = Config { size: 1, overflow: 0, timeout, ..Config::default() };
    let db = TestDatabase::with_config(&config).await;
    let keys = db.seller("one").await;
    // The first caller may wait for the connection to open.
    db.pool.begin(keys.seller()).await.unwrap().commit().await.unwrap();
    let before = db.pool.waits();
    let first = db.pool.begin(keys.seller()).await.unwrap();
    assert_eq!(db.pool.waits(), before);

    assert!(db.pool.begin(keys.seller()).await.is_err());
    let after = db.pool.waits();
    assert_eq!((after.callers - before.callers, after.refused - before.refused), (1, 1));
    assert!(after.longest >= timeout && after.total >= before.total + timeout, "{after:?}");

    let second = db.pool.begin(keys.seller());
    let (ended, second) = futures::join!(first.commit(), second);
    ended.unwrap();
    second.unwrap().commit().await.unwrap();
    let last = db.pool.waits();
    assert_eq!((last.callers - after.callers, last.refused), (1, after.refused));
}
