//! `GET /performance/database`: figures for operators, and nobody's data.

use jebi_domain::Scope;
use serde_json::{Value, json};

use crate::app::{ORDERS, PRODUCTS, TestApp};
use crate::http::{Request, Response};

const FIGURES: &str = "/api/v1/performance/database";

async fn figures(app: &TestApp, query: &str) -> Response {
    let key = app.key_of("demo", &[Scope::PerformanceRead]).await;
    app.send(Request::new("GET", &format!("{FIGURES}{query}")).key(&key)).await
}

fn named<'a>(all: &'a Value, field: &str, name: &str) -> &'a Value {
    let found = all.as_array().unwrap().iter().find(|one| one[field] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {all}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_the_pool_tables_indexes_and_statements() {
    let app = TestApp::new().await;
    let order = app.order().await;
    for path in [ORDERS, PRODUCTS, &order] {
        app.get(path).await.expect(200);
    }
    let response = figures(&app, "").await.expect(200);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let figures = response.json();
    let pool = &figures["pool"];
    assert_eq!(pool["limit"], 32);
    assert!(pool["open"].as_u64() >= pool["idle"].as_u64() && pool["in_use"].is_u64());
    let orders = named(&figures["table_sizes"], "table", "public.orders");
    assert!(orders["size_mb"].as_f64().unwrap() > 0.0 && orders["rows"].is_i64(), "{orders}");
    let primary = named(&figures["index_usage"], "index", "public.orders_pkey");
    assert_eq!((&primary["is_valid"], &primary["is_needed"]), (&json!(true), &json!(true)));
    assert_eq!(figures["statement_statistics"]["available"], true);
    assert_eq!(figures["n_plus_one"], json!([]));
    assert_eq!(figures["plan_regressions"], json!([]));
    assert_eq!(figures["advice"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_left_out_where_they_are_not_asked_for_and_unknown_ones_refused() {
    let app = TestApp::new().await;
    for (query, has_slow, has_indexes) in [
        ("?include_slow_queries=true&include_index_usage=true", true, true),
        ("?include_slow_queries=false", false, true),
        ("?include_index_usage=false", true, false),
    ] {
        let figures = figures(&app, query).await.expect(200).json();
        assert_eq!(figures["slow_queries"].is_array(), has_slow, "{query}");
        assert_eq!(figures["statement_statistics"].is_object(), has_slow, "{query}");
        assert_eq!(figures["index_usage"].is_array(), has_indexes, "{query}");
    }
    let refused = figures(&app, "?include_slow_queries=maybe&include_more=true").await.expect(400);
    assert_eq!(refused.fields(), ["include_slow_queries", "include_more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_were_slow_are_shown_without_their_values_each_with_advice() {
    let app = TestApp::new().await;
    let seller = app.db.seller("demo").await.seller();
    let transaction = app.db.pool.begin(seller).await.unwrap();
    for sql in [
        "SELECT pg_sleep(0.101), '010-7777-3141'",
        "DO 'BEGIN PERFORM pg_sleep(0.11); /* 010-7777-3141 */ END'",
    ] {
        jebi_db_optimizer::testing::run_as_service(&transaction, sql).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let response = figures(&app, "").await.expect(200);
    assert!(!response.text().contains("7777-3141"), "{}", response.text());
    let figures = response.json();
    let slow = named(&figures["slow_queries"], "statement", "SELECT pg_sleep($1), $2");
    assert!(slow["mean_ms"].as_f64().unwrap() > 100.0 && slow["query_id"].is_string(), "{slow}");
    assert_eq!(slow["calls"], 1);
    named(&figures["slow_queries"], "statement", "DO …");
    let advice = named(&figures["advice"], "kind", "slow_statement");
    assert!(advice["evidence"].as_str().unwrap().contains("ms"), "{advice}");
}
