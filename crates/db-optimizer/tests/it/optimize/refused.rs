//! What cannot be done is said in one sentence, and leaves nothing half done.

use std::time::Duration;

use jebi_db_optimizer::optimize::{Catalogue, Failure, Index, Level, Options, Report, optimize};
use jebi_db_optimizer::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

use super::MISLEADING;
use super::{filled, invalid, misleading, names_of_indexes, of_parcels, quiet, run, run_with};

/// Waits for nobody for long.
fn hasty(level: Level) -> Options {
    Options {
        lock_timeout: Duration::from_millis(200),
        patience: Duration::from_millis(400),
        back_off: Duration::from_millis(10),
        attempts: 2,
        ..Options::new(level)
    }
}

fn only_failure(report: &Report) -> &str {
    let [failure] = &report.failures[..] else { panic!("{report}: {:?}", report.failures) };
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_something_else_has_is_left_to_it() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    let name = "CREATE TABLE \"Odd; one\".\"Parcels by \"\"time\"\"\" (id bigint)";
    db.run(name).await;
    let catalogue = of_parcels(vec![MISLEADING]);
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(only_failure(&report).contains("is the name of a table already"), "{report}");
    db.run(&format!(
        "{}; CREATE UNIQUE INDEX \"Parcels by \"\"time\"\"\" ON \"Odd; one\".\"Parcels\" (id)",
        name.replace("CREATE TABLE", "DROP TABLE").replace(" (id bigint)", "")
    ))
    .await;
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(only_failure(&report).contains("a key of Parcels"), "{report}");
    assert!(names_of_indexes(&db).await.contains("Parcels by \"time\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_and_a_definition_that_postgresql_refuses_are_named() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    let nowhere = Index { table: "nowhere", ..MISLEADING };
    let report = run_with(&db, &of_parcels(vec![nowhere]), &Options::new(Level::Moderate)).await;
    assert!(
        only_failure(&report.unwrap()).starts_with("there is no table \"Odd; one\".\"nowhere\"")
    );
    let bad = Index { definition: "USING btree (date(at))", ..MISLEADING };
    let report =
        run_with(&db, &of_parcels(vec![bad]), &Options::new(Level::Moderate)).await.unwrap();
    let said = only_failure(&report);
    assert!(
        said.contains("must be marked IMMUTABLE") && said.contains("nothing is left"),
        "{said}"
    );
    assert_eq!(names_of_indexes(&db).await, "by_kind");
    // A definition that reads back otherwise would be found drifted for ever.
    let unlike =
        Index { definition: "USING btree (note, at) WHERE note IS NOT NULL", ..MISLEADING };
    let report =
        run_with(&db, &of_parcels(vec![unlike]), &Options::new(Level::Moderate)).await.unwrap();
    assert!(only_failure(&report).contains("which PostgreSQL writes as"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_written_to_and_one_that_is_not_there_are_said_so() {
    let db = TestDatabase::new().await;
    db.run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',
            current_database()); END $$",
    )
    .await;
    let catalogue = Catalogue::of_jebi();
    let failure = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap_err();
    assert!(matches!(failure, Failure::ReadOnly(_)), "{failure}");
    // Looking is allowed.
    let options = Options { is_dry_run: true, ..Options::new(Level::Moderate) };
    run_with(&db, &catalogue, &options).await.unwrap();
    let (watcher, stop) = (quiet(), CancellationToken::new());
    let nobody = "postgres://nobody@127.0.0.1:1/none";
    let failure = optimize(nobody, &catalogue, &options, &watcher, &stop).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_build_is_told_who_may() {
    let db = TestDatabase::new().await;
    filled::fill(&db, 1_000).await;
    db.run("DROP INDEX orders_by_time").await;
    // As the service's role, which owns nothing.
    let url = db.url();
    let sign = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{sign}options=-c%20role%3Djebi_service");
    let (watcher, stop) = (quiet(), CancellationToken::new());
    let options = Options::new(Level::Conservative);
    let failure =
        optimize(&url, &Catalogue::of_jebi(), &options, &watcher, &stop).await.unwrap_err();
    let said = failure.to_string();
    assert!(said.starts_with("jebi_service may not build orders_by_time"), "{said}");
    assert!(said.contains("connect as"), "{said}");
    assert!(matches!(failure, Failure::NoRight { .. }), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_is_waited_for_and_then_named_with_its_holder() {
    let db = TestDatabase::new().await;
    let seller = filled::fill(&db, 1_000).await.seller();
    db.run("DROP INDEX orders_by_time").await;
    // A writer that is not done.
    let transaction = db.pool.begin(seller).await.unwrap();
    let write = "UPDATE orders SET memo = 'x' WHERE order_number LIKE 'C%'";
    jebi_db_optimizer::testing::run_as_service(&transaction, write).await.unwrap();
    let held = run_with(&db, &Catalogue::of_jebi(), &hasty(Level::Conservative)).await.unwrap();
    let said = only_failure(&held);
    assert!(said.starts_with("could not build orders_by_time: jebi (process "), "{said}");
    assert!(
        said.contains("has been idle in transaction for") && said.contains("nothing is left"),
        "{said}"
    );
    assert_eq!(invalid(&db).await, 0);
    transaction.rollback().await.unwrap();
    run(&db, Level::Conservative).await;
    assert_eq!(invalid(&db).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_gets_its_index_part_by_part() {
    let db = TestDatabase::new().await;
    filled::fill(&db, 3_000).await;
    db.run("SELECT jebi_rotate_events(7); DROP INDEX events_by_sequence").await;
    let report = run(&db, Level::Conservative).await;
    assert!(report.steps.iter().any(|step| step.doing.contains("events_by_sequence")), "{report}");
    let parts = "SELECT count(*) FROM pg_partition_tree('events_by_sequence') WHERE isleaf";
    let partitions = "SELECT count(*) FROM pg_partition_tree('events') WHERE isleaf";
    assert_eq!(db.number(parts).await, db.number(partitions).await);
    assert_eq!(invalid(&db).await, 0);
    assert!(run(&db, Level::Conservative).await.is_up_to_date());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_half_built() {
    let db = TestDatabase::new().await;
    filled::fill(&db, 1_000).await;
    db.run("DROP INDEX orders_by_time, orders_by_status").await;
    let stop = CancellationToken::new();
    let watcher: jebi_db_optimizer::optimize::Watcher = {
        let stop = stop.clone();
        std::sync::Arc::new(move |progress| {
            if matches!(progress, jebi_db_optimizer::optimize::Progress::Step { number: 2, .. }) {
                stop.cancel();
            }
        })
    };
    let options = Options::new(Level::Conservative);
    let report =
        optimize(&db.url(), &Catalogue::of_jebi(), &options, &watcher, &stop).await.unwrap();
    assert!(only_failure(&report).starts_with("stopped"), "{report}");
    assert_eq!(invalid(&db).await, 0);
    run(&db, Level::Conservative).await;
    assert!(run(&db, Level::Conservative).await.is_up_to_date());
}
