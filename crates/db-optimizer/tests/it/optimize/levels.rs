//! What each level is worth.

use std::collections::BTreeMap;

use jebi_db_optimizer::optimize::{Catalogue, Level, Options, Report};
use jebi_db_optimizer::testing::TestDatabase;

use super::runners::soak;
use super::{filled, run_with};

/// What the statements of each endpoint read together.
fn sums(report: &Report) -> BTreeMap<String, u64> {
    report.endpoints().iter().map(|endpoint| (endpoint.name.to_owned(), endpoint.after)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_makes_an_endpoint_read_more_than_the_level_below() {
    let db = TestDatabase::new().await;
    filled::fill(&db, soak().unwrap_or(20_000)).await;
    let catalogue = Catalogue::of_jebi();
    for index in &catalogue.indexes {
        db.run(&format!("DROP INDEX IF EXISTS {}", index.name)).await;
    }
    let measured = |level| Options { is_measured: true, ..Options::new(level) };
    let bare = Catalogue { indexes: vec![], queries: vec![], left_out: &[] };
    let bare = run_with(&db, &bare, &measured(Level::Conservative)).await.unwrap();
    let mut columns = vec![sums(&bare)];
    for level in Level::ALL {
        let report = run_with(&db, &catalogue, &measured(*level)).await.unwrap();
        assert_eq!(report.failures, Vec::<String>::new());
        columns.push(sums(&report));
    }
    let cell = |column: &BTreeMap<String, u64>, endpoint: &str| column[endpoint];
    for endpoint in columns[0].keys().filter(|name| *name != "seen by the server") {
        let figures: Vec<u64> = columns.iter().map(|column| cell(column, endpoint)).collect();
        if soak().is_some() {
            #[expect(clippy::print_stdout, reason = "what the soak is for")]
            {
                println!("| {endpoint} | {figures:?} |");
            }
        }
        // A page by number is anchored on a random row or two: a few pages more or less.
        for pair in figures[1..].windows(2) {
            assert!(pair[1] * 20 <= pair[0] * 21 + 200, "{endpoint}: {figures:?}");
        }
    }
    // A level of stock or a price is in no index, and most of what products read.
    let lists = [("GET /orders-optimized/", 10), ("GET /products-optimized/", 1)];
    for (list, times) in lists {
        let (none, all) = (cell(&columns[0], list), cell(&columns[3], list));
        assert!(all * times < none, "{list}: {all} of {none}");
    }
}
