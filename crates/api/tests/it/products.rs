use futures::future::join_all;
use serde_json::{Value, json};

use crate::app::{EVENTS, PRODUCTS, TestApp, add_product};
use crate::http::Request;

async fn bulk(app: &TestApp, body: &Value) -> crate::http::Response {
    let path = format!("{PRODUCTS}bulk-stock");
    app.send(Request::new("POST", &path).key(&app.key).json(body)).await
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_changes_price_stock_and_status_and_nothing_of_the_wholesalers() {
    let app = TestApp::new().await;
    let path = app.product("TEA-1").await;
    let before = app.get(&path).await.expect(200).json();
    assert_eq!((&before["price"], &before["stock"]), (&json!(12_900), &json!(10)));
    assert_eq!((&before["variants"], &before["listings"]), (&json!([]), &json!([])));

    let body = json!({ "price": 13_500, "stock_delta": -4, "status": "paused" });
    let changed = app.patch(&path, &body).await.expect(200);
    let after = changed.json();
    assert_eq!((&after["price"], &after["stock"]), (&json!(13_500), &json!(6)));
    assert_eq!((&after["status"], &after["version"]), (&json!("paused"), &json!(2)));
    assert_eq!(after["price_history"][0]["price"], 13_500);
    assert_eq!(app.get(&path).await.text(), changed.text());

    let same = app.patch(&path, &json!({ "price": 13_500 })).await.expect(200).json();
    assert_eq!(same["version"], 2);
    for (body, status, field) in [
        (json!({ "cost_amount": 1 }), 422, "cost_amount"),
        (json!({ "wholesale_stock": 1 }), 422, "wholesale_stock"),
        (json!({ "name": "x" }), 422, "name"),
        (json!({ "price": -1 }), 422, "price"),
        (json!({ "price": 1_000_000_000_000_001_i64 }), 422, "price"),
        (json!({ "price": 1e18 }), 400, "price"),
        (json!({ "stock": 1, "stock_delta": 1 }), 422, "stock"),
        (json!({ "stock_delta": -7 }), 422, "stock_delta"),
        (json!({ "stock_delta": i64::MAX }), 422, "stock_delta"),
        (json!({ "stock": -1 }), 422, "stock"),
        (json!({ "status": "sold" }), 400, "status"),
    ] {
        let response = app.patch(&path, &body).await;
        assert_eq!(response.status, status, "{body}: {}", response.text());
        assert_eq!(response.fields(), [field], "{body}");
    }
    let body = json!({ "stock_delta": -7, "allow_negative": true });
    assert_eq!(app.patch(&path, &body).await.expect(200).json()["stock"], -1);
    let events = format!(
        "SELECT string_agg(event || version, ' ' ORDER BY version) FROM {EVENTS}
         WHERE event = 'products:updated'"
    );
    assert_eq!(app.db.text(&events).await, "products:updated2 products:updated3");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_read_the_same_product_one_may_write() {
    let app = TestApp::new().await;
    let path = app.product("TEA-1").await;
    let tag = app.get(&path).await.header("etag").unwrap().to_owned();
    let write = |price: i64| {
        let request = Request::new("PATCH", &path).key(&app.key).header("if-match", &tag);
        app.send(request.json(&json!({ "price": price })))
    };
    let mut statuses: Vec<u16> =
        join_all((1..=8).map(write)).await.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_bulk_changes_at_once_add_up_exactly() {
    let app = TestApp::with(&[("DATABASE_POOL_SIZE", "10")]).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        add_product(&app.db, "demo", &format!("P-{n}")).await;
        ids.push(app.product(&format!("P-{n}")).await.rsplit('/').next().unwrap().to_owned());
    }
    let bodies: Vec<Value> = (0..100)
        .map(|n: usize| {
            // Each call in another order, so that only ordered locks keep them from deadlocks.
            let rows = (0..20).map(|k| {
                json!({ "product_id": ids[(k * 7 + n) % 20], "delta": 1 + i64::try_from(n % 3).unwrap() })
            });
            json!({ "items": rows.collect::<Vec<_>>() })
        })
        .collect();
    for response in join_all(bodies.iter().map(|body| bulk(&app, body))).await {
        let results = response.expect(200).json();
        assert!(results["results"].as_array().unwrap().iter().all(|row| row["status"] == 200));
    }
    // 34 calls added 1, 33 added 2, 33 added 3.
    let wrong = "SELECT count(*) FROM product_offers AS o JOIN products AS p ON p.id = o.product_id
                 WHERE p.sku LIKE 'P-%' AND o.stock <> 10 + 34 + 66 + 99";
    assert_eq!(app.db.number(wrong).await, 0);
    let versions = "SELECT count(*) FROM product_offers WHERE version <> 101 AND version <> 1";
    assert_eq!(app.db.number(versions).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_done_fails_alone() {
    let app = TestApp::new().await;
    add_product(&app.db, "demo", "TEA-2").await;
    let (one, two) = (app.product("TEA-1").await, app.product("TEA-2").await);
    app.key_of("other", &[]).await;
    add_product(&app.db, "other", "TEA-1").await;
    let theirs = "SELECT p.id::text FROM products AS p JOIN sellers AS s ON s.id = p.seller_id
                  WHERE s.name = 'other'";
    let theirs = app.db.text(theirs).await;
    let body = json!({ "items": [
        { "product_id": id(&one), "quantity": 3 },
        { "product_id": theirs, "quantity": 99 },
        { "product_id": id(&one), "quantity": 4 },
        { "product_id": id(&two), "delta": i64::MAX },
        { "product_id": "00000000-0000-7000-8000-000000000000", "delta": 1 },
    ] });
    let results = bulk(&app, &body).await.expect(200).json();
    let statuses: Vec<u64> = results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 404, 422, 422, 404]);
    assert_eq!(app.get(&one).await.json()["stock"], 3);
    assert_eq!(app.get(&two).await.json()["stock"], 10);
    let untouched = format!("SELECT stock FROM product_offers WHERE product_id = '{theirs}'");
    assert_eq!(app.db.number(&untouched).await, 10);

    let row = json!({ "product_id": id(&one), "delta": 1 });
    for (body, status, field) in [
        (json!({ "items": vec![row.clone(); 10_001] }), 422, "items"),
        (json!({ "items": [] }), 422, "items"),
        (json!({ "items": [{ "product_id": id(&one) }] }), 422, "items[0].quantity"),
        (json!({ "items": [{ "product_id": "x", "delta": 1 }] }), 400, "items[0].product_id"),
        (
            json!({ "items": [{ "product_id": id(&one), "delta": 1, "price": 1 }] }),
            422,
            "items[0].price",
        ),
        (json!({ "items": [row], "seller_id": "x" }), 422, "seller_id"),
    ] {
        let response = bulk(&app, &body).await;
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(response.fields(), [field]);
    }
    assert_eq!(app.get(&one).await.json()["stock"], 3, "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_names_each_parameter_that_is_wrong() {
    let app = TestApp::new().await;
    let long = "x".repeat(10_000);
    for (query, status, field) in [
        ("min_price=2&max_price=1", 422, "min_price"),
        ("min_price=-1", 422, "min_price"),
        ("max_price=1000000000000001", 422, "max_price"),
        ("max_price=99999999999999999999999", 422, "max_price"),
        ("min_price=1.5", 400, "min_price"),
        ("status=sold", 400, "status"),
        ("wholesaler=amazon", 400, "wholesaler"),
        ("low_stock=yes", 400, "low_stock"),
        ("low_stock=true&out_of_stock=true", 422, "low_stock"),
        ("search=", 422, "search"),
        ("search=+", 422, "search"),
        (&format!("search={long}"), 422, "search"),
        ("search=a%00b", 400, "search"),
        ("page=0", 422, "page"),
        ("page_size=101", 422, "page_size"),
        ("sort=name", 422, "sort"),
        ("search=%25", 200, ""),
        ("search=%F0%9F%8D%B5", 200, ""),
        ("search=%CC%81", 200, ""),
        ("search=%E1%84%92", 200, ""),
        ("brand=nobody", 200, ""),
        ("min_price=0&max_price=0", 200, ""),
    ] {
        let response = app.get(&format!("{PRODUCTS}?{query}")).await;
        assert_eq!(response.status, status, "{query}: {}", response.text());
        if status >= 400 {
            assert!(response.fields().contains(&field.to_owned()), "{query}: {}", response.text());
        }
    }
    let none = app.get(&format!("{PRODUCTS}?brand=nobody")).await.json();
    assert_eq!((&none["items"], &none["total"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_it_is_asked_for() {
    let app = TestApp::new().await;
    for sku in ["TEA-2", "TEA-3"] {
        add_product(&app.db, "demo", sku).await;
    }
    app.patch(&app.product("TEA-2").await, &json!({ "stock": 0, "price": 500 })).await.expect(200);
    app.patch(&app.product("TEA-3").await, &json!({ "status": "draft", "stock": 50 }))
        .await
        .expect(200);
    let skus = async |query: &str| {
        let page = app.get(&format!("{PRODUCTS}?{query}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap().clone();
        let mut skus: Vec<String> =
            items.iter().map(|item| item["sku"].as_str().unwrap().to_owned()).collect();
        skus.sort();
        (skus.join(" "), page)
    };
    assert_eq!(skus("").await.0, "TEA-1 TEA-2 TEA-3");
    assert_eq!(skus("status=draft").await.0, "TEA-3");
    assert_eq!(skus("status=draft").await.1["total"], 1);
    assert_eq!(skus("out_of_stock=true").await.0, "TEA-2");
    assert_eq!(skus("low_stock=true").await.0, "TEA-1");
    assert_eq!(skus("low_stock=true").await.1["total_is"], "estimated");
    assert_eq!(skus("min_price=501").await.0, "TEA-1 TEA-3");
    assert_eq!(skus("max_price=500&status=active").await.0, "TEA-2");
    assert_eq!(skus("search=tea-2").await.0, "TEA-2");
    assert_eq!(skus("search=%EC%9D%B4%EC%B0%A8").await.1["total"], 3);
    let (_, page) = skus("include_variants=true&include_listings=true").await;
    assert_eq!(
        (&page["items"][0]["variants"], &page["items"][0]["listings"]),
        (&json!([]), &json!([]))
    );
    assert!(skus("").await.1["items"][0].get("variants").is_none());
}
