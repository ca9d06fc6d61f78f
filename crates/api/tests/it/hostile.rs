//! Input that is wrong: a 4xx that names the field, never a 5xx, and nothing written.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::{EVENTS, ORDERS, TestApp, order_body, post};
use crate::http::Request;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_names_each_parameter_that_is_wrong() {
    let app = TestApp::new().await;
    app.order().await;
    app.order().await;
    let page = app.get("/api/v1/orders-optimized/?page_size=1").await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    // It may end in either already.
    let last = if cursor.ends_with('x') { 'y' } else { 'x' };
    let changed = format!("{}{last}", &cursor[..cursor.len() - 1]);
    let cases = [
        ("status=lost", 400, "status"),
        ("status=", 400, "status"),
        ("platform=ebay", 400, "platform"),
        ("page=0", 422, "page"),
        ("page=-1", 422, "page"),
        ("page=one", 400, "page"),
        ("page=1.5", 400, "page"),
        ("page=99999999999999999999999", 422, "page"),
        ("page=9007199254740993&page_size=1", 200, ""),
        ("page=9007199254740994&page_size=1", 422, "page"),
        ("page_size=0", 422, "page_size"),
        ("page_size=101", 422, "page_size"),
        ("page_size=", 400, "page_size"),
        ("date_from=2026-02-01T00:00:00Z&date_to=2026-01-01T00:00:00Z", 422, "date_from"),
        ("date_from=2026-02-01T00:00:00", 400, "date_from"),
        ("date_to=2026-02-30T00:00:00Z", 400, "date_to"),
        ("date_from=2026-02-01", 400, "date_from"),
        ("date_from=2026-02-01T00:00:00+09:00", 200, ""),
        ("date_from=0000-01-01T00:00:00Z&date_to=9999-12-31T23:59:59Z", 200, ""),
        ("colour=red", 422, "colour"),
        ("Page=1", 422, "Page"),
        ("page=1&page=2", 400, "page"),
        ("status=%ff", 400, "status"),
        ("status=%", 400, "status"),
        ("%ff=1", 400, "query"),
        ("status=paid%00", 400, "status"),
        (&format!("cursor={changed}"), 400, "cursor"),
        (&format!("cursor={cursor}&status=paid"), 400, "cursor"),
        (&format!("cursor={cursor}&page=2"), 422, "page"),
        (&format!("cursor={cursor}"), 200, ""),
        (&format!("cursor={cursor}&page_size=7"), 200, ""),
        ("cursor=", 400, "cursor"),
        ("cursor=AAAA", 400, "cursor"),
        ("", 200, ""),
        ("&&", 200, ""),
    ];
    for (query, status, field) in cases {
        let response = app.get(&format!("{ORDERS}?{query}")).await;
        assert_eq!(response.status, status, "{query}: {}", response.text());
        if status >= 400 {
            assert!(response.fields().contains(&field.to_owned()), "{query}: {}", response.text());
        }
    }
    let other = app.key_of("other", jebi_domain::Scope::ALL).await;
    let stolen = Request::new("GET", &format!("{ORDERS}?cursor={cursor}")).key(&other);
    assert_eq!(app.send(stolen).await.expect(400).fields(), ["cursor"]);
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = order_body();
    body["customer"]["address"] = json!({ "line1": "테헤란로 1" });
    body["customer"]["email"] = json!("a@b.kr");
    body["memo"] = json!("문 앞");
    body["order_number"] = json!("A-1");
    match body.pointer_mut(pointer) {
        Some(field) => *field = value,
        None => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[name] = value;
        }
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_names_each_field_that_is_wrong_and_nothing_is_written() {
    let app = TestApp::new().await;
    let long = "가".repeat(2_001);
    let cases = [
        ("/currency", json!("EUR"), 400, "currency"),
        ("/currency", json!(null), 400, "currency"),
        ("/items", json!([]), 422, "items"),
        ("/items", json!({}), 400, "items"),
        ("/items/0/quantity", json!(0), 422, "items[0].quantity"),
        ("/items/0/quantity", json!(-1), 422, "items[0].quantity"),
        ("/items/0/quantity", json!(1_000_001), 422, "items[0].quantity"),
        ("/items/0/quantity", json!(1.5), 400, "items[0].quantity"),
        ("/items/0/quantity", json!("2"), 400, "items[0].quantity"),
        ("/items/0/price", json!(-1), 422, "items[0].price"),
        ("/items/0/price", json!(1_000_000_000_000_000_000_i64), 422, "items[0].price"),
        ("/items/0/price", json!(1e18), 400, "items[0].price"),
        ("/items/0/price", json!(1e300), 400, "items[0].price"),
        ("/items/0/price", json!(999_999_999_999_999_i64), 422, "items"),
        ("/items/0/sku", json!("NONE"), 422, "items[0].sku"),
        ("/items/0/sku", json!("TEA\0-1"), 422, "items[0].sku"),
        ("/items/0/sku", json!(null), 422, "items[0].sku"),
        ("/items/0/product_id", json!("00000000-0000-7000-8000-000000000000"), 422, "items[0].sku"),
        ("/items/0/total", json!(1), 422, "items[0].total"),
        ("/shipping_amount", json!(-1), 422, "shipping_amount"),
        ("/discount_amount", json!(100_000), 422, "discount_amount"),
        ("/discount_amount", json!(i64::MAX), 422, "discount_amount"),
        ("/memo", json!(long), 422, "memo"),
        ("/memo", json!("a\0b"), 422, "memo"),
        ("/memo", json!("  "), 422, "memo"),
        ("/order_number", json!("x".repeat(65)), 422, "order_number"),
        ("/customer/name", json!("홍\0길동"), 422, "customer.name"),
        ("/customer/phone", json!("0".repeat(41)), 422, "customer.phone"),
        ("/customer/address/line1", json!(long), 422, "customer.address.line1"),
        ("/customer/address/planet", json!("Mars"), 422, "customer.address.planet"),
        ("/customer/rank", json!("gold"), 422, "customer.rank"),
        ("/seller_id", json!("x"), 422, "seller_id"),
        ("/id", json!("x"), 422, "id"),
        ("/status", json!("paid"), 422, "status"),
        ("/total_amount", json!(1), 422, "total_amount"),
        ("/created_at", json!("2026-01-01T00:00:00Z"), 422, "created_at"),
        ("/version", json!(7), 422, "version"),
    ];
    for (pointer, value, status, field) in cases {
        let response = app.post("one-key", &with(pointer, value.clone())).await;
        assert_eq!(response.status, status, "{pointer} {value}: {}", response.text());
        assert_eq!(response.fields(), [field], "{pointer} {value}");
    }
    let one_too_many = json!(vec![json!({ "sku": "TEA-1", "quantity": 1, "price": 1 }); 2_001]);
    let response = app.post("one-key", &with("/items", one_too_many)).await.expect(422);
    assert_eq!(response.fields(), ["items"]);
    for table in ["orders", "order_items", EVENTS, "audit_log", "idempotency_keys"] {
        let rows = app.db.number(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(rows, 0, "{table}");
    }
    // The key was not used up by what failed.
    app.post("one-key", &order_body()).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_of_ours_are_refused() {
    let app = TestApp::new().await;
    let send = async |kind: &str, body: Vec<u8>| {
        let request = Request::new("POST", ORDERS).key(&app.key).header("idempotency-key", "k");
        app.send(request.body(kind, body)).await
    };
    let json = "application/json";
    let deep = format!("{{\"items\":{}", "[".repeat(5_000)).into_bytes();
    for body in
        [vec![], b"{".to_vec(), b"null".to_vec(), b"[]".to_vec(), b"\xff\xfe".to_vec(), deep]
    {
        send(json, body).await.expect(400).fields();
    }
    let twice = br#"{"currency":"KRW","currency":"KRW","items":[]}"#.to_vec();
    send(json, twice).await.expect(400).fields();
    let invalid = b"{\"currency\":\"K\xffW\",\"items\":[]}".to_vec();
    send(json, invalid).await.expect(400).fields();
    send("text/plain", order_body().to_string().into_bytes()).await.expect(415).fields();
    send("application/json; charset=utf-8", order_body().to_string().into_bytes())
        .await
        .expect(201);
    let gzip = post(&app.key, "gz", &order_body()).header("content-encoding", "gzip");
    app.send(gzip).await.expect(415).fields();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_20_mb_is_answered_413_while_it_is_still_being_sent() {
    let app = TestApp::new().await;
    let request = Request::new("POST", ORDERS).key(&app.key).header("idempotency-key", "k");
    let response = app.send(request.body("application/json", vec![b' '; 20 << 20])).await;
    response.expect(413).fields();

    // The same without a length, in chunks.
    let mut stream = TcpStream::connect(&app.address).await.unwrap();
    let head = format!(
        "POST {ORDERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        app.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..320 {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// Creates two orders on one connection, both of which are refused.
pub(crate) async fn refused_twice_on_one_connection(address: &str, key: &str, status: u16) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = order_body().to_string();
    let request = format!(
        "POST {ORDERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answers = Vec::new();
    for count in 1..=2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            let text = String::from_utf8_lossy(&answers);
            assert!(!text.contains("connection: close"), "{text}");
            if text.matches(&format!("HTTP/1.1 {status} ")).count() == count {
                break;
            }
            assert_ne!(stream.read_buf(&mut answers).await.unwrap(), 0, "it is closed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_before_the_body_was_read_keeps_the_connection() {
    let app = TestApp::new().await;
    refused_twice_on_one_connection(&app.address, "jebi_none", 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_each_field_that_is_wrong() {
    let app = TestApp::new().await;
    let order = app.order().await;
    let cases = [
        (json!({ "status": "lost" }), 400, "status"),
        (json!({ "status": 1 }), 400, "status"),
        (json!({ "total_amount": 1 }), 422, "total_amount"),
        (json!({ "seller_id": "x" }), 422, "seller_id"),
        (json!({ "version": 1 }), 422, "version"),
        (json!({ "tracking_number": "x".repeat(65) }), 422, "tracking_number"),
        (json!({ "memo": "a\0b" }), 422, "memo"),
        (json!({ "memo": ["x"] }), 400, "memo"),
    ];
    for (body, status, field) in cases {
        let response = app.patch(&order, &body).await;
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert_eq!(response.fields(), [field], "{body}");
    }
    let forbidden = app.patch(&order, &json!({ "status": "delivered" })).await.expect(409);
    let said = "an order that is pending cannot become delivered";
    assert_eq!(forbidden.json()["detail"], said);
    let version = app.get(&order).await.json()["version"].clone();
    assert_eq!(version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_told_apart() {
    let app = TestApp::new().await;
    app.get("/api/v1/nothing").await.expect(404);
    app.get("/").await.expect(404);
    let put = app.send(Request::new("PUT", ORDERS).key(&app.key)).await.expect(405);
    assert_eq!(put.header("allow"), Some("GET, POST"));
    app.get("/api/v1/orders-optimized").await.expect(200);
    app.get("/api/v1/orders-optimized/").await.expect(200);
    app.get("/readyz/").await.expect(200);
}
