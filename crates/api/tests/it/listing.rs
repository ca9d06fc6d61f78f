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

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_number_name_and_telephone() {
    let app = TestApp::new().await;
    for (number, name, phone) in [
        ("A-100", "홍길동", "010-1234-5678"),
        ("A-101", "홍길동", "010-9999-0000"),
        ("B-200", "Kim Minji", "+82 10 1111 5678"),
        ("100%", "A-100", "02-123-4567"),
    ] {
        let mut body = crate::app::order_body();
        body["order_number"] = json!(number);
        body["customer"] = json!({ "name": name, "phone": phone });
        app.post(&format!("k-{number}"), &body).await.expect(201);
    }
    for path in ["A-100", "A-101"] {
        let found = app.get(&format!("{ORDERS}?search={path}")).await.json();
        let id = found["items"][0]["id"].as_str().unwrap().to_owned();
        let status = json!({ "status": if path == "A-101" { "confirmed" } else { "pending" } });
        app.patch(&format!("{ORDERS}{id}"), &status).await.expect(200);
    }
    let numbers = async |query: &str| {
        let page = app.get(&format!("{ORDERS}?search={query}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap().clone();
        assert_eq!(page["total"], items.len());
        let numbers: Vec<String> =
            items.iter().map(|order| order["order_number"].as_str().unwrap().to_owned()).collect();
        numbers.join(" ")
    };
    // Newest first; a name may be somebody else's number.
    assert_eq!(numbers("A-100").await, "100% A-100");
    assert_eq!(numbers("A-").await, "A-101 A-100");
    assert_eq!(numbers("A").await, "", "one character is no beginning of a number");
    assert_eq!(numbers("%ED%99%8D%EA%B8%B8%EB%8F%99").await, "A-101 A-100");
    assert_eq!(numbers("%ED%99%8D").await, "", "a name is found whole or not at all");
    assert_eq!(numbers("kim+minji").await, "B-200");
    assert_eq!(numbers("5678").await, "B-200 A-100");
    assert_eq!(numbers("01011115678").await, "B-200");
    assert_eq!(numbers("100%25").await, "100%");
    assert_eq!(numbers("10%25").await, "");
    let confirmed = numbers("%ED%99%8D%EA%B8%B8%EB%8F%99&status=confirmed").await;
    assert_eq!(confirmed, "A-101");
    for bad in ["", "+", "a%00b", &"x".repeat(101)] {
        let response = app.get(&format!("{ORDERS}?search={bad}")).await;
        assert!([400, 422].contains(&response.status), "{bad}");
        assert_eq!(response.fields(), ["search"]);
    }
    // Page by page.
    let first = app.get(&format!("{ORDERS}?search=A-&page_size=1")).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("{ORDERS}?search=A-&page_size=1&cursor={cursor}")).await.json();
    assert_eq!(second["items"][0]["order_number"], "A-100");
    assert_eq!(second["next_cursor"], json!(null));
    let numbered = app.get(&format!("{ORDERS}?search=A-&page_size=1&page=2")).await.json();
    assert_eq!(numbered["items"], second["items"]);
    let other = app.key_of("other", jebi_domain::Scope::ALL).await;
    let theirs = crate::http::Request::new("GET", &format!("{ORDERS}?search=A-100")).key(&other);
    assert_eq!(app.send(theirs).await.json()["total"], 0);
}
