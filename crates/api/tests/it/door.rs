//! A request that was answered from memory before is answered so again without being routed: nobody can tell but by the clock.

use jebi_domain::Scope;
use serde_json::json;

use crate::app::{ORDERS, PRODUCTS, TestApp};
use crate::http::{Request, Response};

const HIT: Option<&str> = Some("jebi; hit; detail=l1");

/// A service whose memory is trusted however busy the machine is.
async fn warm(paths: &[&str]) -> TestApp {
    let app = TestApp::with(&[("JEBI_CACHE_MAX_STALENESS_MS", "60000")]).await;
    for _ in 0..3 {
        app.order().await;
    }
    for path in paths {
        // Loaded; answered from memory, and so remembered; answered at the door.
        for _ in 0..3 {
            app.get(path).await.expect(200);
        }
    }
    app
}

/// The names of the headers of an answer, and their values but for what is different each time.
fn told(response: &Response) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|(name, value)| {
            let differs = ["date", "x-request-id", "ratelimit", "cache-status"];
            let is_other = differs.contains(&name.as_str());
            (name.clone(), if is_other { String::new() } else { value.clone() })
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_answer_is_like_the_first_in_all_but_where_it_came_from() {
    let app = warm(&[]).await;
    for path in [ORDERS, PRODUCTS, "/api/v1/orders-optimized?page_size=2", &app.order().await] {
        let answers = [app.get(path).await, app.get(path).await, app.get(path).await];
        let [first, second, third] = answers.map(|answer| answer.expect(200));
        assert_eq!((second.header("cache-status"), third.header("cache-status")), (HIT, HIT));
        assert_eq!((told(&first), &first.body), (told(&third), &third.body), "{path}");
        assert_eq!(told(&second), told(&third));
        assert_ne!(second.header("x-request-id"), third.header("x-request-id"));
        let left = |answer: &Response| {
            let said = answer.header("ratelimit").unwrap().to_owned();
            said.split(['=', ';']).nth(2).and_then(|left| left.parse::<u32>().ok()).unwrap()
        };
        assert!(left(&third) <= left(&second), "each takes of the budget");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_differently_is_answered_differently_also_at_the_door() {
    let app = warm(&[ORDERS]).await;
    let list = || Request::new("GET", ORDERS).key(&app.key);
    let plain = app.send(list()).await.expect(200);
    let packed = app.send(list().header("accept-encoding", "gzip")).await.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!((plain.header("content-encoding"), packed.header("cache-status")), (None, HIT));
    let tag = plain.header("etag").unwrap().to_owned();
    let known = app.send(list().header("if-none-match", &tag)).await.expect(304);
    assert!(known.body.is_empty() && known.header("etag") == Some(&tag));
    let named = app.send(list().header("x-request-id", "door-test-1")).await.expect(200);
    assert_eq!(named.header("x-request-id"), Some("door-test-1"));
    let head = app.send(Request::new("HEAD", ORDERS).key(&app.key)).await.expect(200);
    assert!(head.body.is_empty());
    app.send(Request::new("DELETE", ORDERS).key(&app.key)).await.expect(405);
    app.send(Request::new("GET", ORDERS)).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_at_the_door_what_it_may_see() {
    let app = warm(&[ORDERS]).await;
    let masked = app.key_of("demo", &[Scope::OrdersRead]).await;
    let stranger = app.key_of("stranger", &[Scope::OrdersRead]).await;
    let without = app.key_of("demo", &[Scope::ProductsRead]).await;
    for _ in 0..3 {
        let phones = |answer: &Response| answer.text().contains("010-1234-5678");
        let ask = async |key: &str| app.send(Request::new("GET", ORDERS).key(key)).await;
        assert!(phones(&ask(&app.key).await.expect(200)));
        assert!(!phones(&ask(&masked).await.expect(200)));
        assert_eq!(ask(&stranger).await.expect(200).json()["total"], 0);
        ask(&without).await.expect(403);
    }
    // A key that loses a scope is another key within a second.
    app.db
        .run("UPDATE api_keys SET scopes = '{products:read}' WHERE 'orders:contact' = ANY(scopes)")
        .await;
    while app.get(ORDERS).await.status == 200 {}
    app.get(ORDERS).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_never_answered_from_before() {
    let app = warm(&[]).await;
    let order = app.order().await;
    for round in 0..20 {
        let memo = format!("round {round}");
        app.patch(&order, &json!({ "memo": memo })).await.expect(200);
        for _ in 0..3 {
            assert_eq!(app.get(&order).await.expect(200).json()["memo"], memo);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_at_the_door_is_counted_like_everything_else() {
    let app = warm(&[ORDERS]).await;
    for _ in 0..50 {
        assert_eq!(app.get(ORDERS).await.expect(200).header("cache-status"), HIT);
    }
    let operator = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let figures = Request::new("GET", "/api/v1/performance/api").key(&operator);
    let figures = app.send(figures).await.expect(200).json();
    let all = figures["endpoints"].as_array().unwrap();
    let name = "GET /api/v1/orders-optimized";
    let list = all.iter().find(|one| one["endpoint"] == name).unwrap();
    assert_eq!(list["count"], 53);
}
