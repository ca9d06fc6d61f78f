use jebi_domain::Scope;
use serde_json::json;

use crate::app::{ORDERS, TestApp};
use crate::http::Request;

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_is_not_sent_again() {
    let app = TestApp::new().await;
    let order = app.order().await;
    for path in [ORDERS, &*order] {
        let first = app.get(path).await.expect(200);
        let tag = first.header("etag").unwrap().to_owned();
        let again =
            |tag: &str| Request::new("GET", path).key(&app.key).header("if-none-match", tag);
        let same = app.send(again(&tag)).await.expect(304);
        assert!(same.body.is_empty());
        assert_eq!(same.header("etag"), Some(&*tag));
        assert!(same.header("vary").is_some());
        app.send(again("\"other.identity\"")).await.expect(200);
        app.patch(&order, &json!({ "memo": format!("for {}", path.len()) })).await.expect(200);
        let changed = app.send(again(&tag)).await;
        // A list shows no memo.
        assert_eq!(changed.status, if path == ORDERS { 304 } else { 200 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_read_the_same_one_may_write() {
    let app = TestApp::new().await;
    let order = app.order().await;
    let tag = app.get(&order).await.header("etag").unwrap().to_owned();
    let write = |memo: &str, tag: &str| {
        let body = json!({ "memo": memo });
        Request::new("PATCH", &order).key(&app.key).header("if-match", tag).json(&body)
    };
    let first = app.send(write("one", &tag)).await.expect(200);
    app.send(write("two", &tag)).await.expect(412);
    let weak = format!("W/{}", first.header("etag").unwrap());
    app.send(write("two", &weak)).await.expect(412);
    let second = app.send(write("two", first.header("etag").unwrap())).await.expect(200);
    assert_eq!(second.header("etag"), app.get(&order).await.header("etag"));
    app.send(write("three", "*")).await.expect(200);
    assert_eq!(app.get(&order).await.json()["memo"], "three");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_one_view_is_not_the_tag_of_the_other() {
    let app = TestApp::new().await;
    let order = app.order().await;
    let tag = app.get(&order).await.header("etag").unwrap().to_owned();
    let masked = app.key_of("demo", &[Scope::OrdersRead]).await;
    let request = Request::new("GET", &order).key(&masked).header("if-none-match", &tag);
    let seen = app.send(request).await.expect(200).json();
    assert_eq!(seen["customer"]["phone"], "010-****-5678");
}
