use jebi_db_optimizer::sellers;
use jebi_domain::Scopes;

use crate::app::{ORDERS, TestApp, add_key};
use crate::http::Request;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_a_budget_of_its_own() {
    let app = TestApp::with(&[("JEBI_RATE_LIMIT_PER_MINUTE", "3")]).await;
    for left in [2, 1, 0] {
        let response = app.get(ORDERS).await.expect(200);
        assert_eq!(response.header("ratelimit-policy"), Some("\"default\";q=3;w=60"));
        let said = response.header("ratelimit").unwrap();
        assert!(said.starts_with(&format!("\"default\";r={left};")), "{said}");
    }
    let refused = app.get(ORDERS).await.expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=21).contains(&wait), "{wait}");
    let said = refused.header("ratelimit").unwrap();
    assert!(said.starts_with("\"default\";r=0;"), "{said}");
    let other = app.key_of("demo", jebi_domain::Scope::ALL).await;
    app.send(Request::new("GET", ORDERS).key(&other)).await.expect(200);
    app.send(Request::new("GET", "/healthz")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_is_slowed_and_locks_nobody_out() {
    let app = TestApp::new().await;
    let mut statuses = Vec::new();
    for guess in 0..80 {
        let key = jebi_domain::api_key([guess; 32]);
        let response = app.send(Request::new("GET", ORDERS).key(&key)).await;
        statuses.push(response.status);
    }
    assert_eq!(statuses[0], 401);
    assert!(statuses.contains(&429), "{statuses:?}");
    app.get(ORDERS).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused() {
    let app = TestApp::new().await;
    let (key, id) = add_key(&app.db, "demo", Scopes::all_of_a_seller()).await;
    let list = Request::new("GET", ORDERS).key(&key);
    app.send(list.clone()).await.expect(200);
    assert!(sellers::revoke_key(&app.db.admin().await, id).await.unwrap());
    assert!(!sellers::revoke_key(&app.db.admin().await, id).await.unwrap());
    while app.send(list.clone()).await.status == 200 {}
    app.send(list).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_ends_connections_makes_requests_wait_and_none_fail() {
    let app = TestApp::new().await;
    let order = app.order().await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'jebi'";
    let mut statuses = Vec::new();
    for round in 0..15 {
        let body = serde_json::json!({ "memo": format!("round {round}") });
        let requests = async {
            let reads = futures::future::join_all((0..4).map(|_| app.get(ORDERS)));
            let writes = futures::future::join_all((0..4).map(|_| app.patch(&order, &body)));
            let (reads, writes) = futures::join!(reads, writes);
            [reads, writes].concat()
        };
        let (responses, _) = futures::join!(requests, app.db.number(terminate));
        statuses.extend(responses.iter().map(|response| response.status));
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    }
    assert!(statuses.contains(&200), "{statuses:?}");
    // The ends of the last connections are on their way.
    while app.get(ORDERS).await.status != 200 {}
}
