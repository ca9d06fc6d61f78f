//! What wholesalers have becomes products.

use std::collections::BTreeMap;

use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Item, Settings, Simulator, Stock, item_key};
use serde_json::{Value, json};

use crate::app::{PRODUCTS, TestApp};
use crate::http::Request;
use crate::jobs::Events;
use crate::outside::{add, credentials, end, outside_with};

/// The three accounts of *demo*, by their ids.
async fn accounts(app: &TestApp) -> BTreeMap<&'static str, String> {
    let mut accounts = BTreeMap::new();
    for kind in ["ownerclan", "zentrade", "domeggook"] {
        accounts.insert(kind, add(app, kind, "demo", &credentials(kind, "demo")).await);
    }
    accounts
}

async fn start(app: &TestApp, query: &str) -> Value {
    let path = format!("{PRODUCTS}collect{query}");
    app.send(Request::new("POST", &path).key(&app.key)).await.expect(202).json()
}

async fn collect(app: &TestApp, query: &str) -> Value {
    let accepted = start(app, query).await;
    end(app, accepted["status_url"].as_str().unwrap()).await
}

/// Cost and stock of every collected product, by wholesaler and key.
async fn stored(app: &TestApp) -> BTreeMap<(String, String), (i64, Option<i64>)> {
    let rows = "SELECT coalesce(jsonb_agg(jsonb_build_array(i.wholesaler, i.key, o.cost_amount,
                    o.wholesale_stock)), '[]')::text
                FROM wholesale_items AS i JOIN product_offers AS o
                  ON o.product_id = i.product_id AND o.seller_id = i.seller_id";
    let rows: Vec<(String, String, i64, Option<i64>)> =
        serde_json::from_str(&app.db.text(rows).await).unwrap();
    rows.into_iter().map(|(who, key, cost, stock)| ((who, key), (cost, stock))).collect()
}

/// What a seller of a wholesaler pays, and how many there are, as the catalogue is to have it.
fn truth(wholesaler: Wholesaler, item: &Item<'_>) -> (i64, Option<i64>) {
    let cost = match wholesaler {
        Wholesaler::Domeggook => item.price() * 12 / 100 * 10,
        Wholesaler::Ownerclan | Wholesaler::Zentrade => item.price(),
    };
    let stock = match (item.availability(), item.stock()) {
        (Availability::OnSale, _) if wholesaler == Wholesaler::Zentrade => None,
        (Availability::OnSale, Stock::Units(units)) => Some(units.into()),
        (Availability::OnSale, Stock::Untracked) => None,
        _ => Some(0),
    };
    (cost, stock)
}

/// Holds every stored product against what is so.
async fn assert_true(app: &TestApp, simulator: &Simulator, at: jebi_simulator::Time) -> usize {
    let stored = stored(app).await;
    let mut checked = 0;
    for &wholesaler in Wholesaler::ALL {
        for item in simulator.catalogue(wholesaler).items(at) {
            let key = item_key(wholesaler, item.number());
            let Some(known) = stored.get(&(wholesaler.to_string(), key.clone())) else { continue };
            assert_eq!(*known, truth(wholesaler, &item), "{wholesaler} {key}");
            checked += 1;
        }
    }
    assert_eq!(checked, stored.len());
    checked
}

/// Everything that a run could have written.
async fn written(app: &TestApp) -> String {
    app.db
        .text(
            "SELECT jsonb_build_array(
                 (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.product_id) FROM product_offers AS o),
                 (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.key) FROM wholesale_items AS i),
                 (SELECT jsonb_agg(to_jsonb(v) ORDER BY v.id) FROM product_variants AS v),
                 (SELECT count(*) FROM products), (SELECT count(*) FROM cost_history),
                 (SELECT count(*) FROM price_history), (SELECT count(*) FROM wholesale_details),
                 (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events)
             )::text",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_accounts_are_collected_and_a_second_run_changes_nothing() {
    let (simulator, app) = outside_with(Settings::default()).await;
    let accounts = accounts(&app).await;
    let accepted = start(&app, "").await;
    assert_eq!(accepted["accepted_count"], 3);
    let job = accepted["job_id"].as_str().unwrap().to_owned();
    // While it is alive a repeat is the same.
    assert_eq!(start(&app, "?wholesalers=zentrade").await["job_id"], *job);
    let mut events = Events::open(&app, &job).await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push((event["done"].as_u64().unwrap(), event["total"].as_u64().unwrap()));
    }
    assert!(seen.iter().any(|(done, total)| 0 < *done && done < total), "{seen:?}");
    let job = end(&app, accepted["status_url"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["failed"]), (&json!("done"), &json!(0)), "{job}");
    assert_eq!((&job["done"], &job["total"]), (&json!(3_000), &json!(3_000)), "{job}");
    for (kind, account) in &accounts {
        let told = &job["result"][account];
        assert_eq!((&told["wholesaler"], &told["read"]), (&json!(kind), &json!(1_000)), "{told}");
        assert!(told["created"].as_u64().unwrap() > 900, "{told}");
        assert_eq!(told["rejected"], 0, "{told}");
    }
    let products = assert_true(&app, &simulator, jebi_simulator::Clock::system().now()).await;
    assert!(products > 2_800, "{products}");

    // Found in Korean, priced by the rule, in won.
    let found = app.get(&format!("{PRODUCTS}?search=%EB%AC%B4%EC%84%A0&page_size=100")).await;
    let found = found.expect(200).json();
    let items = found["items"].as_array().unwrap();
    assert!(items.len() > 20, "{}", items.len());
    for item in items {
        assert!(item["name"].as_str().unwrap().contains("무선"), "{item}");
        let (cost, price) =
            (item["cost_amount"].as_i64().unwrap(), item["price"].as_i64().unwrap());
        assert_eq!((price, &item["currency"]), ((cost * 130 + 999) / 1_000 * 10, &json!("KRW")));
        assert_eq!(item["status"], "draft");
    }
    let total = format!("{PRODUCTS}?wholesaler=domeggook&status=draft&page_size=1");
    let counted = app.get(&total).await.expect(200).json()["total"].as_i64().unwrap();
    let rows = "SELECT count(*) FROM wholesale_items WHERE wholesaler = 'domeggook'";
    assert_eq!(counted, app.db.number(rows).await);

    let before = written(&app).await;
    let again = collect(&app, "").await;
    assert_eq!(again["state"], "done");
    for account in accounts.values() {
        let told = &again["result"][account];
        assert_eq!((&told["created"], &told["changed"]), (&json!(0), &json!(0)), "{told}");
        assert_eq!(told["read"], 1_000);
    }
    assert!(written(&app).await == before);
    assert!(simulator.blocks().is_empty());
}
