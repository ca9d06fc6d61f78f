//! What was there before a run, and comes back.

use jebi_db_optimizer::optimize::{Index, Level, Options, Outcome, Owner, roll_back};
use jebi_db_optimizer::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

use super::{MISLEADING, invalid, misleading, names_of_indexes, of_parcels, quiet, run_with};

const USEFUL: Index = Index {
    name: "useful",
    definition: "USING btree (note)",
    serves: &["parcels.one"],
    ..MISLEADING
};

async fn definition(db: &TestDatabase, name: &str) -> String {
    db.text(&format!(
        "SELECT coalesce(max(indexdef), 'none') FROM pg_indexes WHERE indexname = '{name}'"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_replaced_is_built_again_by_a_rollback_however_often_that_is_broken_off() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    db.run("CREATE INDEX useful ON \"Odd; one\".\"Parcels\" (id)").await;
    let report = run_with(&db, &of_parcels(vec![USEFUL]), &Options::new(Level::Moderate)).await;
    let report = report.unwrap();
    assert_eq!(report.steps[0].outcome, Outcome::Done, "{report}");
    assert!(definition(&db, "useful").await.ends_with("USING btree (note)"));

    // As a kill leaves it between the drop of the one and the name of the other.
    db.run("DROP INDEX \"Odd; one\".useful").await;
    db.run("CREATE INDEX useful_new ON \"Odd; one\".\"Parcels\" (id)").await;
    let take_back = || async {
        let (options, stop) = (Options::new(Level::Moderate), CancellationToken::new());
        roll_back(&db.url(), report.run.unwrap(), &options, &quiet(), &stop).await
    };
    let said = take_back().await.unwrap();
    assert!(said[0].starts_with("built useful again as it was"), "{said:?}");
    assert!(definition(&db, "useful").await.ends_with("USING btree (id)"));
    assert_eq!(names_of_indexes(&db).await, "by_kind, useful");

    // What was undone already is no obstacle where the end of it was not written down.
    db.run(
        "UPDATE optimizer_runs SET taken_back_at = NULL;
            UPDATE optimizer_changes SET state = 'proven' WHERE state = 'taken back'",
    )
    .await;
    assert_eq!(take_back().await.unwrap(), Vec::<String>::new());
    assert_eq!(names_of_indexes(&db).await, "by_kind, useful");
    assert_eq!(invalid(&db).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_replaced_by_one_of_no_use_is_there_again() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    db.run("CREATE INDEX useful ON \"Odd; one\".\"Parcels\" (id)").await;
    let useless = Index { definition: "USING btree (filler)", ..USEFUL };
    let catalogue = of_parcels(vec![useless]);
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(report.steps[0].outcome, Outcome::Rejected, "{report}");
    assert!(definition(&db, "useful").await.ends_with("USING btree (id)"));
    let again = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(again.is_up_to_date(), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_somebody_elses_under_the_name_of_a_spare_is_left_to_them() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    db.run(
        "CREATE INDEX useful ON \"Odd; one\".\"Parcels\" (id);
            CREATE INDEX useful_new ON \"Odd; one\".\"Parcels\" (filler)",
    )
    .await;
    let report = run_with(&db, &of_parcels(vec![USEFUL]), &Options::new(Level::Moderate)).await;
    let report = report.unwrap();
    assert!(report.failures[0].starts_with("useful_new is the name of another index"), "{report}");
    assert!(definition(&db, "useful_new").await.ends_with("(filler)"));
    assert!(definition(&db, "useful").await.ends_with("(id)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_index_that_a_killed_run_left_unproven_is_proven() {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE logs (at date, note text) PARTITION BY RANGE (at);
            CREATE TABLE logs_of_the_first_half_of_the_year_2026 PARTITION OF logs
                FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
            CREATE TABLE logs_of_the_first_half_of_the_year_2025 PARTITION OF logs
                FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
            INSERT INTO logs SELECT at + n % 150, 'n' || n FROM generate_series(1, 20000) AS n,
                unnest(ARRAY['2025-01-01'::date, '2026-01-01']) AS at",
    )
    .await;
    db.run("ANALYZE logs").await;
    let of_logs = Index {
        name: "logs_by_note_with_a_name_that_is_longer_than_others",
        schema: "public",
        table: "logs",
        definition: "USING btree (note)",
        serves: &["logs.one"],
        owner: Owner::Catalogue,
        ..MISLEADING
    };
    let mut catalogue = of_parcels(vec![of_logs.clone()]);
    catalogue.queries[0].name = "logs.one";
    catalogue.queries[0].text = "SELECT at FROM logs WHERE note = $1";
    catalogue.queries.truncate(1);
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.steps[0].outcome, Outcome::Done, "{report}");
    db.run("UPDATE optimizer_changes SET state = 'begun'").await;
    let again = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(again.failures, Vec::<String>::new());
    assert!(again.steps[0].doing.ends_with("again"), "{again}");
    assert_eq!(again.steps[0].outcome, Outcome::Done, "{again}");
    let next = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(next.is_up_to_date(), "{next}");
    assert_eq!(invalid(&db).await, 0);
    let (options, stop) = (Options::new(Level::Moderate), CancellationToken::new());
    let run = again.run.unwrap();
    let said = roll_back(&db.url(), run, &options, &quiet(), &stop).await.unwrap();
    assert_eq!(said, [format!("dropped {}", of_logs.name)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_rows_hold_is_in_a_report_or_in_what_is_kept_of_it() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    db.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
    db.run("UPDATE \"Odd; one\".\"Parcels\" SET note = 'SECRET-' || id").await;
    let seen = "SELECT count(*) FROM \"Odd; one\".\"Parcels\" WHERE note = 'SECRET-7' AND id < 50";
    assert_eq!(db.number(seen).await, 1);
    let report = run_with(&db, &of_parcels(vec![USEFUL]), &Options::new(Level::Moderate)).await;
    let report = report.unwrap();
    assert!(report.queries.iter().any(|query| query.name.starts_with("captured.")), "{report}");
    let shown = serde_json::to_string(&report).unwrap();
    let kept = db.text("SELECT string_agg(r::text, '') FROM optimizer_runs AS r").await;
    // Also what the server keeps of the statements that were run again.
    let server = "SELECT string_agg(query, '; ') FROM pg_stat_statements
                  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND query LIKE 'EXPLAIN%'";
    for text in [shown, kept, db.text(server).await] {
        assert!(text.contains("Parcels") && !text.contains("SECRET"), "{text}");
    }
}
