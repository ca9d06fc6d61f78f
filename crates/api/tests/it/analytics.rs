use serde_json::{Value, json};

use crate::app::{TestApp, order_body};

const ANALYTICS: &str = "/api/v1/orders-optimized/analytics/performance";

/// What a select of text and number gives, as an object.
async fn object(app: &TestApp, select: &str) -> Value {
    let sql =
        format!("SELECT coalesce(json_object_agg(k, v), '{{}}')::text FROM ({select}) AS o (k, v)");
    serde_json::from_str(&app.db.text(&sql).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn analytics_are_the_sums_of_plain_sql() {
    let app = TestApp::new().await;
    for _ in 0..3 {
        app.order().await;
    }
    let mut pounds = order_body();
    pounds["currency"] = json!("GBP");
    let path = app.post("gbp", &pounds).await.expect(201).header("location").unwrap().to_owned();
    app.patch(&path, &json!({ "status": "cancelled" })).await.expect(200);
    app.post("gbp-2", &pounds).await.expect(201);
    // Orders of other days, on both sides of the first and of midnight in Seoul.
    app.db
        .run(
            "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
                 order_number, status, currency, items_count, items_amount, total_amount, customer,
                 created_at)
             SELECT gen_random_uuid(), seller_id, (ARRAY['coupang', 'naver', '11st'])[1 + n % 3],
                    id, 'n' || n, 'n' || n,
                    (ARRAY['paid', 'delivered', 'returned', 'refunded'])[1 + n % 4],
                    (ARRAY['KRW', 'GBP'])[1 + n % 2], 1, n, n, '', now() - n * interval '11 hours'
             FROM platform_accounts, generate_series(1, 60) AS n WHERE kind = 'direct'",
        )
        .await;
    let earned = "status NOT IN ('cancelled', 'refunded', 'returned', 'failed')";
    for days in [1, 2, 7, 30, 365] {
        let body = app.get(&format!("{ANALYTICS}?days={days}")).await.expect(200).json();
        let within = format!("jebi_day(created_at) > jebi_day(now()) - {days}");
        let by_status = format!("SELECT status, count(*) FROM orders WHERE {within} GROUP BY 1");
        assert_eq!(body["order_stats"]["by_status"], object(&app, &by_status).await, "{days} days");
        let all = format!("SELECT count(*) FROM orders WHERE {within}");
        assert_eq!(body["order_stats"]["total"], app.db.number(&all).await);
        for revenue in body["revenue_stats"].as_array().unwrap() {
            let currency = revenue["currency"].as_str().unwrap();
            let of = format!("FROM orders WHERE {within} AND {earned} AND currency = '{currency}'");
            let amount = app.db.number(&format!("SELECT sum(total_amount)::bigint {of}")).await;
            assert_eq!((&revenue["amount"], days), (&json!(amount), days));
            let daily: serde_json::Map<String, Value> = revenue["daily"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|day| day["orders"] != 0)
                .map(|day| (day["date"].as_str().unwrap().to_owned(), day["amount"].clone()))
                .collect();
            assert_eq!(revenue["daily"].as_array().unwrap().len(), days);
            let sums = format!("SELECT jebi_day(created_at), sum(total_amount) {of} GROUP BY 1");
            assert_eq!(Value::from(daily), object(&app, &sums).await, "{currency}");
        }
        let platforms: serde_json::Map<String, Value> = body["platform_stats"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let key = |name: &str| row[name].as_str().unwrap().to_owned();
                (format!("{} {}", key("platform"), key("currency")), row["amount"].clone())
            })
            .collect();
        let sums = format!(
            "SELECT platform || ' ' || currency, sum(total_amount) FROM orders
             WHERE {within} AND {earned} GROUP BY 1"
        );
        assert_eq!(Value::from(platforms), object(&app, &sums).await);
        assert_eq!(body["product_stats"], json!({ "total": 1, "by_status": { "active": 1 } }));
    }
    for (days, status) in [("0", 422), ("366", 422), ("-1", 422), ("week", 400)] {
        let response = app.get(&format!("{ANALYTICS}?days={days}")).await;
        assert_eq!(response.status, status, "{days}");
        assert_eq!(response.fields(), ["days"]);
    }
    let other = app.key_of("other", jebi_domain::Scope::ALL).await;
    let theirs = app.send(crate::http::Request::new("GET", ANALYTICS).key(&other)).await.json();
    assert_eq!(
        (&theirs["order_stats"]["total"], &theirs["revenue_stats"]),
        (&json!(0), &json!([]))
    );
}
