use serde_json::json;

use crate::app::{ORDERS, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_was_created_newest_first() {
    let app = TestApp::new().await;
    let mut paths = Vec::new();
    for _ in 0..5 {
        paths.push(app.order().await);
    }
    app.patch(&paths[1], &json!({ "status": "confirmed", "tracking_number": "6-1" }))
        .await
        .expect(200);
    let page = app.get(&format!("{ORDERS}?page_size=2&page=2")).await.expect(200).json();
    assert_eq!((&page["total"], &page["total_is"]), (&json!(5), &json!("exact")));
    assert_eq!(
        (&page["page"], &page["page_size"], &page["pages"]),
        (&json!(2), &json!(2), &json!(3))
    );
    let ids: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["id"].as_str().unwrap())
        .collect();
    let expected: Vec<&str> =
        [&paths[2], &paths[1]].iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(ids, expected);

    let confirmed = app.get(&format!("{ORDERS}?status=confirmed")).await.expect(200).json();
    assert_eq!(confirmed["total"], 1);
    let order = &confirmed["items"][0];
    assert_eq!(order["tracking_number"], "6-1");
    assert_eq!(order["total_amount"], 2 * 12_900 + 3_000);
    assert_eq!(order["items_count"], 1);
    assert_eq!(order["items"][0]["product_name"], "보이차 TEA-1");
    let none = app.get(&format!("{ORDERS}?platform=coupang")).await.expect(200).json();
    assert_eq!((&none["total"], &none["items"]), (&json!(0), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_is_what_is_read() {
    let app = TestApp::new().await;
    let body = crate::app::order_body();
    let created = app.post("k-1", &body).await.expect(201);
    let read = app.get(created.header("location").unwrap()).await.expect(200);
    assert_eq!(created.text(), read.text());
    assert_eq!(created.header("etag"), read.header("etag"));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));
    let order = read.json();
    assert_eq!(order["status"], "pending");
    assert_eq!(order["history"][0]["status"], "pending");
    assert_eq!(order["items_amount"], 25_800);

    let mut numbered = body.clone();
    numbered["order_number"] = json!("A-1");
    app.post("k-2", &numbered).await.expect(201);
    app.post("k-3", &numbered).await.expect(409);
}
