//! `optimize` against real databases in all sorts of states.

mod back;
mod filled;
mod kills;
mod levels;
mod refused;
mod runners;

use std::sync::Arc;

use jebi_db_optimizer::optimize::{
    Catalogue, Failure, Index, Kind, Level, NamedQuery, Options, Outcome, Owner, Report, Watcher,
    Writes, optimize, roll_back,
};
use jebi_db_optimizer::testing::TestDatabase;
use tokio_util::sync::CancellationToken;

fn quiet() -> Watcher {
    Arc::new(|_| {})
}

async fn run_with(
    db: &TestDatabase,
    catalogue: &Catalogue,
    options: &Options,
) -> Result<Report, Failure> {
    optimize(&db.url(), catalogue, options, &quiet(), &CancellationToken::new()).await
}

async fn run(db: &TestDatabase, level: Level) -> Report {
    let report = run_with(db, &Catalogue::of_jebi(), &Options::new(level)).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    report
}

/// No index is half built.
async fn invalid(db: &TestDatabase) -> i64 {
    db.number("SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_index_of_the_catalogue_is_used_by_every_query_that_it_names() {
    let db = TestDatabase::new().await;
    filled::fill(&db, 20_000).await;
    let options = Options { is_measured: true, ..Options::new(Level::Aggressive) };
    let catalogue = Catalogue::of_jebi();
    let report = run_with(&db, &catalogue, &options).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    for query in &report.queries {
        assert!(query.after_buffers.is_some(), "{query:?}");
    }
    for step in &report.steps {
        assert_eq!(step.outcome, Outcome::Done, "{step:?}");
    }
    for index in &catalogue.indexes {
        for name in index.serves {
            let mut of_name = report.queries.iter().filter(|query| query.name == *name).peekable();
            assert!(of_name.peek().is_some(), "{name} is no query of the workload");
            let plans: Vec<&str> =
                of_name.filter_map(|query| query.after_plan.as_deref()).collect();
            let is_used = plans.iter().any(|plan| {
                plan.lines().any(|line| {
                    let used =
                        line.split(" using ").nth(1).and_then(|rest| rest.split([' ', ':']).next());
                    // PostgreSQL names the parts of a partitioned index after their tables.
                    let is_part = |used: &str| {
                        ["events", "job_items_ended"].contains(&index.table)
                            && used.starts_with(index.table)
                            && !used.ends_with("_pkey")
                    };
                    used.is_some_and(|used| used == index.name || is_part(used))
                })
            });
            assert!(is_used, "{name} does not use {}:\n{}", index.name, plans.join("\n"));
        }
    }
    assert_eq!(invalid(&db).await, 0);
    let again = run_with(&db, &catalogue, &options).await.unwrap();
    assert!(again.is_up_to_date(), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_migrations_made_for_speed_is_in_the_catalogue_as_postgresql_writes_it() {
    let db = TestDatabase::new().await;
    let made = "SELECT string_agg(i.relname || ' ' || substr(pg_get_indexdef(i.oid),
                    position(' USING ' IN pg_get_indexdef(i.oid)) + 1), '; ' ORDER BY i.relname)
                FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
                WHERE NOT x.indisunique AND NOT i.relispartition AND i.relnamespace = 'public'::regnamespace";
    let mut wanted: Vec<String> = Catalogue::of_jebi()
        .indexes
        .iter()
        .filter(|index| index.owner == Owner::Migrations)
        .map(|index| format!("{} {}", index.name, index.definition))
        .collect();
    wanted.sort();
    assert_eq!(db.text(made).await, wanted.join("; "));
}

/// A table on which the planner can be led astray: what is rare is old, and the planner thinks that it is anywhere.
async fn misleading(db: &TestDatabase) {
    db.run(
        "CREATE SCHEMA \"Odd; one\";
         CREATE TABLE \"Odd; one\".\"Parcels\" (id bigint, \"Kind\" text, at timestamptz, note text, filler text);
         INSERT INTO \"Odd; one\".\"Parcels\"
         SELECT n, CASE WHEN n < 3000 THEN 'rare' ELSE 'frequent' END,
                '2026-01-01'::timestamptz + n * interval '1 second', 'n' || n, repeat('x', 100)
         FROM generate_series(1, 60000) AS n;
         CREATE INDEX by_kind ON \"Odd; one\".\"Parcels\" (\"Kind\")",
    )
    .await;
    db.run("VACUUM ANALYZE \"Odd; one\".\"Parcels\"").await;
}

const MISLEADING: Index = Index {
    name: "Parcels by \"time\"",
    schema: "Odd; one",
    table: "Parcels",
    definition: "USING btree (at)",
    kind: Kind::Composite,
    serves: &["parcels.newest"],
    level: Level::Conservative,
    owner: Owner::Catalogue,
    writes: Writes { entries: "one for each parcel", updated_columns: &[] },
};

fn of_parcels(indexes: Vec<Index>) -> Catalogue {
    let newest = NamedQuery {
        name: "parcels.newest",
        text: "SELECT id FROM \"Odd; one\".\"Parcels\" WHERE note <> '; $1' ORDER BY at DESC LIMIT 10",
    };
    let one = NamedQuery {
        name: "parcels.one",
        text: "SELECT id FROM \"Odd; one\".\"Parcels\" WHERE note = $1",
    };
    Catalogue { indexes, queries: vec![newest, one], left_out: &[] }
}

async fn names_of_indexes(db: &TestDatabase) -> String {
    let names = "SELECT coalesce(string_agg(indexname, ', ' ORDER BY indexname), '')
                 FROM pg_indexes WHERE schemaname = 'Odd; one'";
    db.text(names).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_makes_a_captured_query_read_more_is_taken_back_and_remembered() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    db.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
    // A statement of somebody else's, as the server has seen it.
    let seen = "SELECT count(*) FROM (SELECT id FROM \"Odd; one\".\"Parcels\"
                WHERE \"Kind\" = 'rare' ORDER BY at DESC LIMIT 10) AS found";
    assert_eq!(db.number(seen).await, 10);

    let catalogue = of_parcels(vec![MISLEADING]);
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
    let [step] = &report.steps[..] else { panic!("{report}") };
    let because = step.because.clone().unwrap_or_default();
    assert_eq!(step.outcome, Outcome::Rejected, "{report}");
    assert!(because.starts_with("captured."), "{because}");
    assert_eq!(names_of_indexes(&db).await, "by_kind");
    let remembered = "SELECT name || ': ' || because FROM optimizer_rejections";
    assert_eq!(db.text(remembered).await, format!("{}: {because}", MISLEADING.name));

    // Neither is it built again, until the table is another one.
    let again = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(again.is_up_to_date() && again.notes[0].contains(&because), "{again}");
    db.run("UPDATE optimizer_rejections SET table_rows = 10").await;
    let grown = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(grown.steps[0].outcome, Outcome::Rejected, "{grown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_its_query_does_not_use_is_taken_back_and_remembered() {
    let db = TestDatabase::new().await;
    misleading(&db).await;
    let unused = Index { definition: "USING btree (filler, note)", ..MISLEADING };
    let catalogue = of_parcels(vec![unused]);
    let report = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(report.steps[0].outcome, Outcome::Rejected, "{report}");
    assert!(report.steps[0].because.as_ref().unwrap().contains("parcels.newest"), "{report}");
    assert_eq!(names_of_indexes(&db).await, "by_kind");
    let again = run_with(&db, &catalogue, &Options::new(Level::Moderate)).await.unwrap();
    assert!(again.is_up_to_date(), "{again}");

    // What helps stays, beside it.
    let useful = Index {
        name: "useful",
        definition: "USING btree (note) WHERE (note <> 'a;b $1'::text)",
        serves: &["parcels.one"],
        ..MISLEADING
    };
    let report =
        run_with(&db, &of_parcels(vec![useful]), &Options::new(Level::Moderate)).await.unwrap();
    assert_eq!(report.steps[0].outcome, Outcome::Done, "{report}");
    assert_eq!(names_of_indexes(&db).await, "by_kind, useful");
    let one = report.queries.iter().find(|query| query.name == "parcels.one").unwrap();
    assert!(one.after_buffers.unwrap() * 100 < one.before_buffers.unwrap(), "{one:?}");

    // Taken back, it is gone, once.
    let run = report.run.unwrap();
    let take_back = || async {
        roll_back(
            &db.url(),
            run,
            &Options::new(Level::Moderate),
            &quiet(),
            &CancellationToken::new(),
        )
        .await
    };
    assert_eq!(take_back().await.unwrap(), ["dropped useful"]);
    assert_eq!(names_of_indexes(&db).await, "by_kind");
    assert!(matches!(take_back().await, Err(Failure::TakenBack(_))));
}
