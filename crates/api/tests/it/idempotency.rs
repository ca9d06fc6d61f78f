use futures::future::join_all;
use jebi_domain::{Scope, Scopes};
use serde_json::json;

use crate::app::{EVENTS, ORDERS, TestApp, add_key, add_product, order_body, post};
use crate::http::{Request, Response};
use crate::process::Served;
use crate::proxy::Proxy;

fn one_answer(responses: &[Response]) -> &Response {
    let (first, others) = responses.split_first().unwrap();
    assert_eq!(first.status, 201, "{}", first.text());
    for other in others {
        assert_eq!((other.status, &other.body), (201, &first.body), "{}", other.text());
        assert_eq!(other.header("location"), first.header("location"));
        assert_eq!(other.header("etag"), first.header("etag"));
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_twins_have_one_effect_and_one_answer() {
    let app = TestApp::new().await;
    for key in ["a", "b", "c"] {
        let body = order_body_of(key);
        let twins = join_all((0..64).map(|_| app.post(key, &body))).await;
        one_answer(&twins);
    }
    for table in ["orders", "order_items", "order_history", EVENTS, "audit_log"] {
        assert_eq!(app.db.number(&format!("SELECT count(*) FROM {table}")).await, 3, "{table}");
    }
}

fn order_body_of(key: &str) -> serde_json::Value {
    let mut body = order_body();
    // The same number again would be refused: a twin must not get as far as that.
    body["order_number"] = json!(format!("N-{key}"));
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_between_commit_and_answer_has_answered_all_the_same() {
    let app = TestApp::new().await;
    let proxy = Proxy::before(&app.db.url()).await;
    let mut doomed = Served::start(&proxy.url);
    // The key is looked up before commits are held.
    let warm = Request::new("GET", ORDERS).key(&app.key);
    warm.send(&doomed.address).await.expect(200);
    proxy.hold_commits();
    let request = post(&app.key, "once", &order_body_of("once"));
    let address = doomed.address.clone();
    let (answer, ()) = futures::join!(request.try_send(&address), async {
        proxy.held().await;
        doomed.kill();
    });
    assert_eq!(answer, None, "the client heard nothing");
    assert_eq!(app.db.number("SELECT count(*) FROM orders").await, 1, "but it was done");

    let body = order_body_of("once");
    let twins = join_all((0..64).map(|_| app.post("once", &body))).await;
    one_answer(&twins);
    assert_eq!(app.db.number("SELECT count(*) FROM orders").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_seller_and_one_body() {
    let app = TestApp::new().await;
    let first = app.post("k", &order_body()).await.expect(201);
    let mut other_body = order_body();
    other_body["memo"] = json!("another");
    assert_eq!(app.post("k", &other_body).await.expect(422).fields(), ["Idempotency-Key"]);

    let (other, _) = add_key(&app.db, "other", Scopes::all_of_a_seller()).await;
    add_product(&app.db, "other", "TEA-1").await;
    let theirs = app.send(post(&other, "k", &order_body())).await.expect(201);
    assert_ne!(theirs.header("location"), first.header("location"));

    // A repetition is answered in the view of the first, whoever of the seller's repeats it.
    let masked = app.key_of("demo", &[Scope::OrdersWrite]).await;
    let again = app.send(post(&masked, "k", &order_body())).await.expect(201);
    assert_eq!(again.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_is_created() {
    let app = TestApp::new().await;
    let request = Request::new("POST", ORDERS).key(&app.key).json(&order_body());
    assert_eq!(app.send(request.clone()).await.expect(400).fields(), ["Idempotency-Key"]);
    for bad in ["", "a b", "한글", &"x".repeat(256)] {
        let request = request.clone().header("idempotency-key", bad);
        assert_eq!(app.send(request).await.expect(400).fields(), ["Idempotency-Key"]);
    }
    let longest = request.header("idempotency-key", &"x".repeat(255));
    app.send(longest).await.expect(201);
}
