//! What every operation of the document costs: so many statements as it says, and no large table read from end to
//! end.

use jebi_db_optimizer::testing::run_as_service;
use jebi_domain::{Scope, SellerId};

use crate::app::{TestApp, add_product};
use crate::http::Request;
use crate::matrix::{Ids, Operation, operations};
use crate::process::{jebi, stderr};

/// The numbers in what an operation's documentation says of its statements, in their order; those between "7 to 9"
/// as well.
fn documented(operation: &Operation) -> Vec<u64> {
    let Operation { method, path, document, .. } = operation;
    let said = document["description"].as_str().unwrap_or_default();
    let said = said.split("Statements: ").nth(1);
    let said =
        said.unwrap_or_else(|| panic!("{method} {path} does not say how many statements it takes"));
    let words: Vec<&str> = said.split(|c: char| !c.is_alphanumeric()).collect();
    let mut numbers = Vec::new();
    let mut is_range = false;
    for word in words {
        if let Ok(number) = word.parse::<u64>() {
            if let Some(first) = numbers.last().copied().filter(|_| is_range) {
                numbers.extend(first + 1..number);
            }
            numbers.push(number);
        }
        is_range = word == "to";
    }
    numbers
}

/// The paths of an operation: as it stands, and with each value of each parameter.
fn variants(operation: &Operation) -> Vec<(String, Operation)> {
    let mut variants = vec![(String::new(), operation.clone())];
    for parameter in operation.document["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] != "query" {
            continue;
        }
        let name = parameter["name"].as_str().unwrap();
        let schema = &parameter["schema"];
        let words = schema["enum"].as_array().or_else(|| schema["oneOf"][1]["enum"].as_array());
        let values: Vec<String> = match (name, words) {
            (_, Some(words)) => {
                words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
            }
            ("page", _) => vec!["2".to_owned(), "300".to_owned()],
            ("page_size" | "days", _) => vec!["1".to_owned(), "100".to_owned()],
            ("min_price", _) => vec!["2000".to_owned()],
            ("max_price", _) => vec!["60000".to_owned()],
            ("date_from" | "date_to", _) => vec!["2026-03-04T05:06:07Z".to_owned()],
            (
                "low_stock"
                | "out_of_stock"
                | "include_variants"
                | "include_listings"
                | "include_memory_analysis"
                | "include_recommendations"
                | "dry_run",
                _,
            ) => {
                vec!["true".to_owned()]
            }
            ("include_slow_queries" | "include_index_usage", _) => {
                ["true", "false"].map(str::to_owned).into()
            }
            ("brand", _) => vec!["nobody".to_owned()],
            ("endpoint_filter", _) => vec!["orders".to_owned()],
            ("test_duration_seconds", _) => vec!["10".to_owned()],
            ("concurrent_users", _) => vec!["3".to_owned()],
            // A seller of this database.
            ("write_as", _) => vec![],
            ("wholesalers", _) => vec!["ownerclan".to_owned()],
            ("max_products_per_wholesaler", _) => vec!["10".to_owned()],
            // Frequent and rare; a name, a number.
            ("search", _) => {
                ["%EB%AC%B4%EC%84%A0", "TEA-1", "COUPANG-1-000000007"].map(str::to_owned).into()
            }
            // Made by the service.
            ("cursor", _) => vec![],
            _ => panic!("{name} has no value in this test"),
        };
        for value in values {
            let query = format!("?{name}={value}");
            let mut variant = operation.clone();
            variant.path += &query;
            variants.push((query, variant));
        }
    }
    variants
}

/// Tables with so many rows are large: reading one from end to end would show.
const LARGE: u32 = 10_000;

/// The statement by which [`Cost::so_far`] asks.
const ASKING: u64 = 1;

/// What was sent and read so far.
struct Cost {
    /// Statements, without those that look the caller's key up: a second later it is looked up again.
    statements: u64,
    /// How often each large table was read from end to end.
    scans: String,
}

impl Cost {
    async fn so_far(app: &TestApp, seller: SellerId) -> Self {
        let statements = app.db.pool.statements();
        // The service's only connection tells what it has counted at the end of a transaction that asks it to.
        let transaction = app.db.pool.begin(seller).await.unwrap();
        run_as_service(&transaction, "SELECT pg_stat_force_next_flush()").await.unwrap();
        transaction.commit().await.unwrap();
        let look_ups =
            "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'api_keys'";
        let look_ups = u64::try_from(app.db.number(look_ups).await).unwrap();
        let scans = format!(
            "SELECT coalesce(string_agg(s.relname || ' ' || seq_scan, ', ' ORDER BY s.relname), '')
             FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = s.relid
             WHERE c.reltuples >= {LARGE}"
        );
        Self { statements: statements - look_ups, scans: app.db.text(&scans).await }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_takes_the_statements_it_says_and_scans_no_large_table() {
    let app = TestApp::alone().await;
    add_product(&app.db, "demo", "85123A").await;
    let seller = app.db.seller("demo").await.seller();
    let ids = Ids::of(&app).await;
    let all = operations(&app).await;
    let key = app.key_of("demo", Scope::ALL).await;
    for (size, rows) in [("small", 0), ("large", 20_000)] {
        if rows > 0 {
            let mut seed = jebi(&app.db.url());
            seed.args(["seed", "--orders", &rows.to_string(), "--products", &rows.to_string()]);
            let output = seed.output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            app.db.run("VACUUM ANALYZE").await;
            let large = Cost::so_far(&app, seller).await.scans;
            for table in [
                "orders ",
                "order_items",
                "order_history",
                "order_search",
                "product_offers",
                "products ",
            ] {
                assert!(large.contains(table), "{table} is not large: {large}");
            }
        }
        for operation in &all {
            let numbers = documented(operation);
            for (query, variant) in variants(operation) {
                let what = format!("{} {}{query}, {size}", operation.method, operation.path);
                let mut before = Cost::so_far(&app, seller).await;
                for _ in 0..3 {
                    let response = app.send(variant.request(&ids).key(&key)).await;
                    assert!(response.status < 300, "{what}: {}", response.text());
                    let after = Cost::so_far(&app, seller).await;
                    let taken = after.statements - before.statements - ASKING;
                    assert!(
                        numbers.contains(&taken),
                        "{what} took {taken} statements, not {numbers:?}"
                    );
                    assert_eq!(after.scans, before.scans, "{what}");
                    before = after;
                }
            }
        }
    }
    let figures = Request::new("GET", "/api/v1/performance/database").key(&key);
    let figures = app.send(figures).await.expect(200).json();
    assert_eq!(figures["n_plus_one"], serde_json::json!([]), "no operation repeats a statement");
}
