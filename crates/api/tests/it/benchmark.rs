//! A service that measures itself, within a budget and at nobody's cost.

use chrono::Utc;
use jebi_db_optimizer::Author;
use jebi_db_optimizer::jobs::{NewJob, enqueue};
use jebi_domain::{Scope, SellerId};
use serde_json::{Value, json};

use crate::app::{TestApp, add_product};
use crate::http::Request;

const BENCHMARK: &str = "/api/v1/performance/benchmark";

/// A run that has ended before it began.
pub(crate) async fn ended_benchmark(app: &TestApp) -> String {
    let owner = SellerId::INSTALLATION;
    let author = Author { actor: "test".to_owned(), request_id: None, at: Utc::now() };
    let transaction = app.db.pool.begin(owner).await.unwrap();
    let parameters = json!({ "seconds": 10, "users": 1, "write_as": null });
    let job = NewJob { kind: "benchmark", account: None, parameters, max_attempts: 1 };
    let enqueued = enqueue(&transaction, owner, &job, &[], &author).await.unwrap();
    transaction.commit().await.unwrap();
    enqueued.job.to_string()
}

/// A service that may be asked how far it is as often as a test likes.
async fn unlimited() -> TestApp {
    TestApp::with(&[("JEBI_RATE_LIMIT_PER_MINUTE", "0")]).await
}

struct Operator<'a> {
    app: &'a TestApp,
    key: String,
}

impl Operator<'_> {
    async fn start(&self, query: &str) -> Value {
        let post = Request::new("POST", &format!("{BENCHMARK}?{query}")).key(&self.key);
        self.app.send(post).await.expect(202).json()
    }

    async fn get(&self, path: &str) -> Value {
        self.app.send(Request::new("GET", path).key(&self.key)).await.expect(200).json()
    }

    /// Asks until the run has ended; how far it was at each look.
    async fn ended(&self, started: &Value) -> (Value, Vec<u64>) {
        let url = started["status_url"].as_str().unwrap();
        let mut seen = vec![];
        loop {
            let run = self.get(url).await;
            seen.push(run["done"].as_u64().unwrap());
            if run["finished_at"].is_string() {
                return (run, seen);
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_what_its_budget_allows_writes_nothing_and_is_held_against_the_one_before() {
    let app = unlimited().await;
    for _ in 0..3 {
        app.order().await;
    }
    let operator = Operator { key: app.key_of("demo", Scope::ALL).await, app: &app };
    let written = "SELECT ((SELECT count(*) + sum(version) FROM orders)
                   + (SELECT sum(version) FROM product_offers) + (SELECT count(*) FROM api_keys))::bigint";
    let before = app.db.number(written).await;
    let query = "test_duration_seconds=10&concurrent_users=10";
    let started = operator.start(query).await;
    // Whoever asks meanwhile gets the same run.
    assert_eq!(operator.start("concurrent_users=3").await["job_id"], started["job_id"]);
    let (run, seen) = operator.ended(&started).await;
    assert_eq!((run["state"].as_str(), run["error"].as_str()), (Some("done"), None), "{run}");
    assert_eq!((run["done"].as_u64(), run["total"].as_u64()), (Some(10), Some(10)));
    assert!(seen.iter().any(|done| (1..10).contains(done)), "it tells how far it is: {seen:?}");
    let figures = &run["figures"];
    // A busy machine may send some of the last too late to be counted.
    let unsent = figures["unsent"].as_u64().unwrap();
    assert_eq!(figures["requests"].as_u64().unwrap() + unsent, 280, "{run}");
    assert_eq!(figures["errors"], 0, "{run}");
    assert!(figures["hit_rate"].as_f64().is_some_and(|rate| rate > 0.5), "{run}");
    assert_eq!(run["budget"]["requests"], 280);
    assert!(run["compared_with"].is_null());
    assert_eq!(app.db.number(written).await, before);

    let (again, _) = operator.ended(&operator.start(query).await).await;
    assert_eq!(again["compared_with"]["id"], run["id"]);
    let times = &again["compared_with"]["times"]["p50_ms"];
    let p50 = |run: &Value| run["figures"]["p50_ms"].as_f64().unwrap();
    let expected = p50(&again) / p50(&run);
    assert!((times.as_f64().unwrap() - expected).abs() < 1e-9, "{times} {expected}");
    let listed = operator.get(BENCHMARK).await;
    let ids: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&again["id"], &run["id"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_be_written_to_is_written_to_and_nobody_else() {
    let app = unlimited().await;
    app.order().await;
    let operator = Operator { key: app.key_of("demo", Scope::ALL).await, app: &app };
    app.key_of("sandbox", Scope::ALL).await;
    add_product(&app.db, "sandbox", "SAND-1").await;
    let key = app.key_of("sandbox", Scope::ALL).await;
    let order =
        json!({ "currency": "KRW", "items": [{ "sku": "SAND-1", "quantity": 1, "price": 1_000 }] });
    app.send(crate::app::post(&key, "sandbox-1", &order)).await.expect(201);
    let sandbox = app.db.text("SELECT id::text FROM sellers WHERE name = 'sandbox'").await;
    let others =
        "SELECT sum(version)::bigint FROM orders AS o JOIN sellers AS s ON s.id = o.seller_id
                  WHERE s.name <> 'sandbox'";
    let before = app.db.number(others).await;
    let query = format!("test_duration_seconds=10&concurrent_users=10&write_as={sandbox}");
    let (run, _) = operator.ended(&operator.start(&query).await).await;
    assert_eq!(
        (run["state"].as_str(), run["figures"]["errors"].as_u64()),
        (Some("done"), Some(0)),
        "{run}"
    );
    assert_eq!(app.db.number(others).await, before);
    let changed =
        "SELECT sum(version)::bigint FROM orders AS o JOIN sellers AS s ON s.id = o.seller_id
                   WHERE s.name = 'sandbox'";
    assert!(app.db.number(changed).await > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_bounds_or_nobodys_starts_nothing() {
    let app = TestApp::new().await;
    let key = app.key_of("demo", Scope::ALL).await;
    let post = |query: &str| Request::new("POST", &format!("{BENCHMARK}?{query}"));
    let stranger = uuid::Uuid::from_u128(7);
    for (query, status, field) in [
        ("test_duration_seconds=9", 422, "test_duration_seconds"),
        ("test_duration_seconds=301", 422, "test_duration_seconds"),
        ("concurrent_users=0", 422, "concurrent_users"),
        ("concurrent_users=101", 422, "concurrent_users"),
        ("concurrent_users=ten", 400, "concurrent_users"),
        ("write_as=demo", 400, "write_as"),
        (&format!("write_as={stranger}"), 422, "write_as"),
        ("users=3", 422, "users"),
    ] {
        let refused = app.send(post(query).key(&key)).await.expect(status);
        assert!(refused.text().contains(field), "{query}: {}", refused.text());
    }
    let reader = app.key_of("reader", &[Scope::PerformanceRead]).await;
    app.send(post("").key(&reader)).await.expect(403);
    app.send(post("").key(&app.key)).await.expect(403);
    app.send(post("")).await.expect(401);
    assert_eq!(app.db.number("SELECT count(*) FROM jobs").await, 0);
}
