//! `optimize` against real databases in all sorts of states.

mod filled;

use std::sync::Arc;

use jebi_db_optimizer::optimize::{
    Catalogue, Failure, Level, Options, Outcome, Report, Watcher, optimize,
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
    db.number("SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)").await
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
                    let used = line.split(" using ").nth(1).and_then(|rest| rest.split([' ', ':']).next());
                    used.is_some_and(|used| used == index.name || used.ends_with("_sequence_idx"))
                })
            });
            assert!(is_used, "{name} does not use {}:\n{}", index.name, plans.join("\n"));
        }
    }
    assert_eq!(invalid(&db).await, 0);
    let again = run_with(&db, &catalogue, &options).await.unwrap();
    assert!(again.is_up_to_date(), "{again}");
}
