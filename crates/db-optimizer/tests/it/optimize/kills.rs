//! Whatever state a run finds, and wherever it is killed, one more run brings the database to where it should be.

use std::time::Duration;

use jebi_db_optimizer::optimize::{Catalogue, Index, Level, Options, Owner, optimize};
use jebi_db_optimizer::testing::{Numbers, TestDatabase};
use tokio_util::sync::CancellationToken;

use super::{filled, invalid, quiet, run, run_with};

/// What somebody, or a killed run, made of an index.
#[derive(Debug, Clone, Copy)]
enum State {
    Fine,
    Missing,
    Invalid,
    Drifted,
    UnderAnotherName,
    SpareIsLeft,
    OnlySpareIsLeft,
    Unproven,
}

const STATES: [State; 8] = [
    State::Fine,
    State::Missing,
    State::Invalid,
    State::Drifted,
    State::UnderAnotherName,
    State::SpareIsLeft,
    State::OnlySpareIsLeft,
    State::Unproven,
];

/// The SQL that brings an index, which may be there or not, to a state.
fn make(index: &Index, state: State) -> String {
    let Index { name, table, definition, .. } = index;
    let build = |name: &str| format!("CREATE INDEX \"{name}\" ON {table} {definition};");
    let gone = format!("DROP INDEX IF EXISTS {name}, {name}_new, {name}_by_hand;");
    let state = match state {
        State::Fine => build(name),
        State::Missing => String::new(),
        // By a build that fails, below.
        State::Invalid => String::new(),
        State::Drifted => format!("CREATE INDEX {name} ON {table} ({});", id_of(table)),
        State::UnderAnotherName => build(&format!("{name}_by_hand")),
        State::SpareIsLeft => build(name) + &build(&format!("{name}_new")),
        State::OnlySpareIsLeft => build(&format!("{name}_new")),
        State::Unproven => {
            build(name)
                + &format!(
                    "WITH run AS (
                         INSERT INTO optimizer_runs (id, level, actor)
                         VALUES (gen_random_uuid(), 'moderate', 'killed') RETURNING id)
                     INSERT INTO optimizer_changes
                         (run_id, number, action, schema_name, table_name, name, definition, state)
                     SELECT id, 1, 'build', 'public', '{table}', '{name}', '{}', 'begun' FROM run;",
                    definition.replace('\'', "''")
                )
        }
    };
    gone + &state
}

/// A column that every table has one of.
fn id_of(table: &str) -> &'static str {
    if table == "optimizer_rejections" { "run_id" } else { "seller_id" }
}

/// Leaves an index as a build leaves it that failed: INVALID. Where the table has no rows, nothing fails and nothing is left.
async fn half_build(db: &TestDatabase, index: &Index) {
    let Index { name, table, .. } = index;
    let id = id_of(table);
    // An id has 36 characters: it divides by zero in every row.
    let sql =
        format!("CREATE INDEX CONCURRENTLY {name} ON {table} ((1 / (length({id}::text) - 36)))");
    if db.try_run(&sql).await.is_ok() {
        db.run(&format!("DROP INDEX {name}")).await;
    }
}

/// What is wanted and not there, though nothing was found against it.
async fn missing(db: &TestDatabase, level: Level) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for index in Catalogue::of_jebi().wanted(level) {
        let Index { name, definition, table, .. } = index;
        let definition = definition.replace('\'', "''");
        let there = format!(
            "SELECT count(*) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
             WHERE x.indisvalid AND i.relname LIKE '{name}%' AND x.indrelid = '{table}'::regclass
               AND right(pg_get_indexdef(i.oid), length('{definition}')) = '{definition}'"
        );
        let rejected = format!(
            "SELECT count(*) FROM optimizer_rejections WHERE definition = '{definition}' AND name = '{name}'"
        );
        if db.number(&there).await == 0
            && (index.owner == Owner::Migrations || db.number(&rejected).await == 0)
        {
            missing.push(*name);
        }
    }
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn from_any_state_and_any_kill_one_run_converges_and_the_next_changes_nothing() {
    // `cargo xtask soak optimize` tries more.
    #[expect(clippy::disallowed_methods, reason = "how long to try")]
    let rounds = std::env::var("JEBI_TEST_OPERATIONS").map_or(4, |n| n.parse().expect("a count"));
    let db = TestDatabase::new().await;
    filled::fill(&db, 2_000).await;
    let mut numbers = Numbers::fresh();
    let catalogue = Catalogue::of_jebi();
    let mut killed = 0_u32;
    for round in 0..rounds {
        let mut states = Vec::new();
        db.run("DELETE FROM optimizer_rejections").await;
        for index in &catalogue.indexes {
            // A partitioned index cannot be built by hand in parts that are left over; it is there or not.
            let state = match (index.table, numbers.one_of(&STATES)) {
                ("events" | "job_items_ended", State::Missing) => State::Missing,
                ("events" | "job_items_ended", _) => State::Fine,
                (_, state) => state,
            };
            states.push((index.name, state));
            db.run(&make(index, state)).await;
            if matches!(state, State::Invalid) {
                half_build(&db, index).await;
            }
        }
        let level = numbers.one_of(Level::ALL);
        let options = Options {
            patience: Duration::from_secs(20),
            back_off: Duration::from_millis(10),
            ..Options::new(level)
        };
        // Killed up to three times, at any moment: the process is gone, and PostgreSQL notices or not.
        for _ in 0..numbers.below(4) {
            let (watcher, stop) = (quiet(), CancellationToken::new());
            let url = db.url();
            let run = optimize(&url, &catalogue, &options, &watcher, &stop);
            let moment = Duration::from_millis(numbers.below(900));
            if tokio::time::timeout(moment, run).await.is_err() {
                killed += 1;
            }
            if numbers.below(2) == 0 {
                db.run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'jebi optimize'",
                )
                .await;
            }
        }
        let report = run_with(&db, &catalogue, &options).await.unwrap();
        let what = format!("round {round}, {level}, {states:?}\n{report}");
        assert_eq!(report.failures, Vec::<String>::new(), "{what}");
        assert_eq!(invalid(&db).await, 0, "{what}");
        assert_eq!(missing(&db, level).await, Vec::<&str>::new(), "{what}");
        let next = run_with(&db, &catalogue, &options).await.unwrap();
        assert!(next.is_up_to_date(), "{what}\nthen\n{next}");
    }
    assert!(
        rounds < 20 || killed > rounds / 4,
        "{killed} kills in {rounds} rounds are none to speak of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_connection_is_ended_comes_back_and_goes_on() {
    let db = TestDatabase::new().await;
    filled::fill(&db, 5_000).await;
    let before: Vec<String> = Catalogue::of_jebi()
        .indexes
        .iter()
        .filter(|index| index.table == "orders")
        .map(|index| format!("DROP INDEX {};", index.name))
        .collect();
    db.run(&before.concat()).await;
    let (url, ended) = (db.url(), std::sync::Arc::new(tokio::sync::Notify::new()));
    let watcher: jebi_db_optimizer::optimize::Watcher = {
        let ended = std::sync::Arc::clone(&ended);
        std::sync::Arc::new(move |progress| {
            if matches!(progress, jebi_db_optimizer::optimize::Progress::Step { .. }) {
                ended.notify_one();
            }
        })
    };
    let (catalogue, options, stop) =
        (Catalogue::of_jebi(), Options::new(Level::Conservative), CancellationToken::new());
    let options = Options { back_off: Duration::from_millis(10), ..options };
    let run_it = optimize(&url, &catalogue, &options, &watcher, &stop);
    let end_it = async {
        for _ in 0..3 {
            ended.notified().await;
            db.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'jebi optimize'",
            )
            .await;
        }
    };
    let (report, ()) = tokio::join!(run_it, end_it);
    // Where the connection was lost between two steps, the run says so; either way nothing is half done.
    match report {
        Ok(report) => assert!(
            report.failures.iter().all(|failure| failure.contains("went away")
                || failure.contains("could not write down")
                || failure.contains("could not")),
            "{report}"
        ),
        Err(failure) => assert!(failure.to_string().contains("could not"), "{failure}"),
    }
    assert_eq!(invalid(&db).await, 0);
    run(&db, Level::Conservative).await;
    assert_eq!(missing(&db, Level::Conservative).await, Vec::<&str>::new());
}
